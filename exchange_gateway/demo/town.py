"""Invented companies, trades and people for the demo's going on. No real company has these numbers."""

from typing import NamedTuple

from schemas.identifiers import cvr_passes_modulus


class Municipality(NamedTuple):
    """A municipality with a system that publishes. alliance: where it shares."""

    code: str
    name: str
    postcode: str
    system: str
    consultant: str
    alliance: str


class Trade(NamedTuple):
    """Work that companies ask for. title: of a job order, with a place for the number of positions."""

    occupation: str
    title: str
    requirement: str


class Company(NamedTuple):
    """An employer."""

    cvr: str
    p_number: str
    name: str
    municipality: Municipality


MUNICIPALITIES = (
    Municipality("0657", "Herning", "7400", "opera", "Birgitte Hald Skou", "vestalliancen"),
    Municipality("0661", "Holstebro", "7500", "workbase", "Torben Lykke Dahl", "vestalliancen"),
    Municipality("0665", "Lemvig", "7620", "indtastning", "Karin Vestergaard Bøje", "vestalliancen"),
    Municipality("0671", "Struer", "7600", "indtastning", "Jens Ove Ramskov", "vestalliancen"),
    Municipality("0756", "Ikast-Brande", "7430", "facit", "Mette Ladefoged Juul", "vestalliancen"),
    Municipality("0760", "Ringkøbing-Skjern", "6950", "momentum", "Søren Klit Nygaard", "vestalliancen"),
    Municipality("0779", "Skive", "7800", "workbase", "Anette Bro Fursund", "vestalliancen"),
    Municipality("0791", "Viborg", "8800", "opera", "Lars Hald Engesvang", "vestalliancen"),
    Municipality("0101", "København", "1550", "momentum", "Sofie Amager Brink", "hovedstadens-rekrutteringsservice"),
    Municipality("0167", "Hvidovre", "2650", "opera", "Hassan Friheden", "hovedstadens-rekrutteringsservice"),
    Municipality("0461", "Odense", "5000", "workbase", "Inge Kerteminde Lund", "faelles-fynsk-fodslag"),
    Municipality("0479", "Svendborg", "5700", "facit", "Palle Sundet", "faelles-fynsk-fodslag"),
    Municipality("0851", "Aalborg", "9000", "opera", "Grethe Limfjord Kjær", "nordjylland"),
    Municipality("0810", "Brønderslev", "9700", "momentum", "Jørn Vendelbo", "nordjylland"),
    Municipality("0730", "Randers", "8900", "opera", "Ellen Gudenå", "7k"),
    Municipality("0751", "Aarhus", "8000", "workbase", "Mikkel Åboulevard", "7k"),
)

TRADES = (
    Trade("Tømrer", "{n} tømrere til renovering", "Svendebrev eller flere års erfaring"),
    Trade("Lagermedarbejder", "{n} lagermedarbejdere til plukkelager", "Truckcertifikat B er en fordel"),
    Trade("Social- og sundhedsassistent", "{n} social- og sundhedsassistenter til nattevagt", "Autorisation"),
    Trade("Kok", "{n} kokke til sæsonen", "Kan arbejde i weekender"),
    Trade("Industrioperatør", "{n} operatører til treholdsskift", "Vant til maskiner"),
    Trade("Rengøringsassistent", "{n} rengøringsassistenter, morgen", "Kan møde kl. 5"),
    Trade("Buschauffør", "{n} buschauffører", "Kørekort kat. D"),
    Trade("Elektriker", "{n} elektrikere til service", "Kørekort kat. B"),
    Trade("Butiksassistent", "{n} butiksassistenter", "Kan arbejde lørdage"),
    Trade("Landbrugsmedhjælper", "{n} medhjælpere til svinestald", "Vant til dyr"),
)

_FIRST = (
    "Åbrink", "Bakkely", "Engholm", "Fjordblik", "Hedegård", "Klitgård", "Lyngmose", "Møllebæk", "Nørrevang",
    "Søndervig",
)  # fmt: skip
_LAST = (
    "Byg A/S", "Logistik ApS", "Plejecenter", "Gastronomi ApS", "Plast A/S", "Rengøring ApS", "Bustrafik A/S", "El ApS",
    "Handel A/S", "Landbrug I/S",
)  # fmt: skip


def companies() -> tuple[Company, ...]:
    """Return three companies in each municipality; their numbers pass the checks and belong to nobody."""
    numbers = iter([text for text in map(str, range(93_700_000, 93_702_000)) if cvr_passes_modulus(text)])
    places = [municipality for municipality in MUNICIPALITIES for _ in range(3)]
    return tuple(
        Company(next(numbers), f"19990{20_000 + index:05d}", f"{_FIRST[index % 10]} {_LAST[_shifted(index)]}", place)
        for index, place in enumerate(places)
    )


def _shifted(index: int) -> int:
    """Pair first and last names anew in each round, so that no two companies share a name."""
    return (index + index // len(_FIRST)) % len(_LAST)

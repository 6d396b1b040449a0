"""What goes on happening after the sample day: plausible, varied, and the same for the same seed. Pure."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from exchange_gateway.demo.day import Happening
from exchange_gateway.demo.town import MUNICIPALITIES, TRADES, Company, Municipality, companies
from schemas.identifiers import EventName

OPEN_ORDERS_MAX = 25
"""From here on orders are filled as fast as new ones come, so that a list stays readable."""

_SEARCHES = ("Vi ser på vores hold i dag.", "Vi vender tilbage i morgen.", "Vi har måske et par stykker.")
_ACTIONS = ("Ringe igen", "Aftale et besøg", "Sende oplysninger om ordninger", "Følge op på jobordre")


class GoingOn:
    """Makes one happening after the other."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._companies = companies()
        self._orders: list[Happening] = []

    def next(self, now: datetime) -> Happening:
        """Return what happens at `now`."""
        if len(self._orders) >= OPEN_ORDERS_MAX:
            return self._filled(now)
        kinds: list[Callable[[datetime], Happening]] = [self._contact, self._visit, self._order, self._cooperation]
        weights = [40, 15, 25, 5]
        if self._answerable():
            kinds += [self._response, self._filled]
            weights += [20, 8]
        return self._random.choices(kinds, weights)[0](now)

    def _answerable(self) -> list[Happening]:
        return [order for order in self._orders if order.data["employerAgreed"] != "no"]

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _order(self, now: datetime) -> Happening:
        company, trade = self._random.choice(self._companies), self._random.choice(TRADES)
        positions = self._random.randint(2, 6)
        data = {
            "jobOrderId": self._id(),
            "status": "open",
            "company": _company(company),
            "title": trade.title.format(n=positions),
            "occupation": {"label": trade.occupation},
            "positions": positions,
            "candidatesWanted": positions * 2,
            "employmentTypes": [self._random.choice(("ordinary", "ordinary", "ordinary", "flex-job", "wage-subsidy"))],
            "hoursPerWeek": {"min": 30, "max": 37},
            "startDate": _day(now, self._random.randint(7, 60)),
            "applicationDeadline": _day(now, self._random.randint(5, 30)),
            "workplace": {"municipality": company.municipality.code, "postcode": company.municipality.postcode},
            "requirements": [trade.requirement],
            "languages": ["Dansk"],
            "applyVia": self._random.choice(("consultant", "consultant", "direct")),
            "contactPerson": {"name": "Kontaktperson i virksomheden", "phone": "+45 00 00 22 99"},
            "consultant": _consultant(company.municipality),
            "employerAgreed": self._random.choice(("named", "named", "named", "anonymous", "no")),
            "sharing": {"scope": "alliances"},
            "registeredAt": now.isoformat(timespec="seconds"),
        }
        order = _by(company.municipality, EventName.JOB_ORDER, now, data)
        self._orders.append(order)
        return order

    def _filled(self, now: datetime) -> Happening:
        order = self._orders.pop(self._random.randrange(len(self._orders)))
        changes = {"status": "filled", "positionsFilled": order.data["positions"]}
        return Happening(order.participant, order.system, "http", order.name, now, order.data | changes)

    def _response(self, now: datetime) -> Happening:
        order = self._random.choice(self._answerable())
        owner = next(place for place in MUNICIPALITIES if place.code == order.participant)
        partner = self._random.choice(
            [place for place in MUNICIPALITIES if place.alliance == owner.alliance and place != owner]
        )
        kind = self._random.choice(("searching", "candidates", "referred", "none"))
        data: dict[str, Any] = {
            "responseId": self._id(),
            "jobOrderOwner": order.participant,
            "jobOrderId": order.thing_id,
            "via": [partner.alliance],
            "kind": kind,
            "consultant": _consultant(partner),
        }
        if kind in ("candidates", "referred"):
            data |= {"candidateCount": self._random.randint(1, 4), "handover": "own-system"}
        elif kind == "none":
            data["reason"] = self._random.choice(("no-match", "distance", "capacity"))
        else:
            data["message"] = self._random.choice(_SEARCHES)
        return _by(partner, EventName.JOB_ORDER_RESPONSE, now, data)

    def _contact(self, now: datetime) -> Happening:
        company = self._random.choice(self._companies)
        data = {
            "contactId": self._id(),
            "company": _company(company),
            "occurredAt": now.isoformat(timespec="seconds"),
            "channel": self._random.choice(("phone", "phone", "email", "video", "office-meeting")),
            "initiatedBy": self._random.choice(("company", "us")),
            "purposes": [self._random.choice(("recruitment", "placement-opening", "information", "upskilling"))],
            "outcomes": [self._random.choice(("information-given", "call-back", "visit-agreed", "no-need-now"))],
            "followUp": {"date": _day(now, 14), "action": self._random.choice(_ACTIONS), "done": False},
            "consultant": _consultant(company.municipality),
            "sharing": {"scope": self._random.choice(("alliances", "alliances", "own"))},
        }
        return _by(company.municipality, EventName.COMPANY_CONTACT, now, data)

    def _visit(self, now: datetime) -> Happening:
        company = self._random.choice(self._companies)
        start = (now + timedelta(days=self._random.randint(1, 10))).replace(hour=9, minute=15, second=0, microsecond=0)
        data = {
            "visitId": self._id(),
            "status": "planned",
            "company": _company(company),
            "start": start.isoformat(),
            "end": (start + timedelta(hours=1)).isoformat(),
            "purposes": [self._random.choice(("recruitment", "outlook", "partnership", "apprenticeship"))],
            "consultant": _consultant(company.municipality),
            "sharing": {"scope": "alliances"},
        }
        return _by(company.municipality, EventName.VISIT, now, data)

    def _cooperation(self, now: datetime) -> Happening:
        company = self._random.choice(self._companies)
        data = {
            "cooperationId": f"samarbejde-{company.cvr}",
            "company": _company(company),
            "forms": self._random.sample(("work-placement", "apprenticeship", "flex-job", "partnership-agreement"), 2),
            "active": True,
            "band": self._random.choice(("1-4", "5-9", "10+")),
            "keyConsultant": _consultant(company.municipality),
            "sharing": {"scope": "alliances"},
        }
        return _by(company.municipality, EventName.COMPANY_COOPERATION, now, data)


def _by(municipality: Municipality, name: EventName, now: datetime, data: dict[str, Any]) -> Happening:
    return Happening(municipality.code, municipality.system, "http", name, now, data)


def _company(company: Company) -> dict[str, Any]:
    return {
        "cvr": company.cvr,
        "pNumber": company.p_number,
        "name": company.name,
        "municipality": company.municipality.code,
    }


def _consultant(municipality: Municipality) -> dict[str, Any]:
    return {"name": municipality.consultant, "unit": f"Jobcenter {municipality.name}", "phone": "+45 00 00 11 99"}


def _day(now: datetime, days: int) -> str:
    return (now + timedelta(days=days)).date().isoformat()

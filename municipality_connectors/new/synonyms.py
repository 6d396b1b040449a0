"""What columns are called where job centres keep their own tables. Only to propose from: its owner decides. Pure."""

from collections.abc import Mapping

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "jobOrderId": ("sagsnr", "sagsnummer", "ordrenr", "ordrenummer", "jobordrenr", "jobordreid", "ordreid", "nr", "id"),
    "contactId": ("kontaktid", "kontaktnr", "sagsnr", "sagsnummer", "nr", "id"),
    "visitId": ("besøgsid", "besøgid", "besøgsnr", "mødeid", "sagsnr", "sagsnummer", "nr", "id"),
    "cooperationId": ("samarbejdsid", "aftalenr", "sagsnr", "nr", "id"),
    "responseId": ("svarid", "svarnr", "nr", "id"),
    "status": ("status", "tilstand", "ordrestatus", "mødestatus"),
    "company.name": (
        "virksomhed",
        "virksomhedsnavn",
        "virksomhedensnavn",
        "virknavn",
        "firma",
        "firmanavn",
        "arbejdsgiver",
    ),
    "company.cvr": ("cvr", "cvrnr", "cvrnummer", "virkcvr", "virksomhedcvr"),
    "company.pNumber": ("pnr", "pnummer", "produktionsenhed"),
    "company.postcode": ("virksomhedspostnr",),
    "title": ("titel", "overskrift", "jobtitel", "stillingstitel"),
    "occupation.label": ("stilling", "stillingsbetegnelse", "fag", "faggruppe", "erhverv", "jobfunktion"),
    "positions": ("antal", "antalstillinger", "stillinger", "antalbehov", "antalpersoner", "hvormange"),
    "employmentTypes": ("ansættelsesform", "ansættelsestype", "ansættelse", "jobtype", "ordinærtellerstøttet", "form"),
    "startDate": ("startdato", "opstart", "opstartsdato", "ønsketstart", "tiltrædelse", "tiltrædelsesdato"),
    "applicationDeadline": ("ansøgningsfrist", "frist", "svarfrist", "sidstefrist"),
    "hoursPerWeek.min": ("timer", "timerprruge", "ugentligarbejdstid", "arbejdstid"),
    "employerAgreed": ("samtykke", "mådeles", "virksomhedenssamtykke"),
    "workplace.municipality": ("arbejdssted", "arbejdsstedskommune", "arbejdskommune", "kommune", "kommunekode"),
    "workplace.postcode": ("arbejdsstedpostnr", "postnr", "postnummer"),
    "workplace.city": ("by", "postdistrikt", "bynavn"),
    "description": ("beskrivelse", "jobbeskrivelse", "opslagstekst"),
    "requirements": ("krav", "kvalifikationer", "kompetencer"),
    "contactPerson.name": ("kontaktperson", "kontaktnavn"),
    "contactPerson.phone": ("kontakttelefon", "kontakttlf"),
    "contactPerson.email": ("kontaktmail", "kontaktemail"),
    "consultant.name": ("konsulent", "virksomhedskonsulent", "ansvarlig", "medarbejder"),
    "consultant.unit": ("enhed", "jobcenter", "afdeling", "team"),
    "consultant.phone": ("konsulenttelefon", "konsulenttlf", "tlf", "telefon"),
    "consultant.email": ("konsulentmail", "konsulentemail"),
    "keyConsultant.name": ("konsulent", "virksomhedskonsulent", "ansvarlig"),
    "keyConsultant.unit": ("enhed", "jobcenter", "afdeling", "team"),
    "keyConsultant.phone": ("konsulenttelefon", "tlf", "telefon"),
    "registeredAt": ("oprettet", "oprettelsesdato", "registreret"),
    "occurredAt": ("kontaktdato", "dato", "tidspunkt"),
    "channel": ("kontaktform", "kanal", "kontakttype"),
    "initiatedBy": ("initiativ", "henvendelsefra"),
    "purposes": ("formål", "emne", "anledning"),
    "outcomes": ("resultat", "udbytte"),
    "start": ("mødedato", "besøgsdato", "starttidspunkt", "dato"),
    "end": ("slut", "sluttidspunkt"),
    "forms": ("samarbejdsform", "ordning", "form"),
    "active": ("aktiv", "igang"),
    "sharing.scope": ("delesmed", "deling"),
}

CAUTIOUS: Mapping[str, tuple[str, str]] = {
    "sharing.scope": ("own", "Kun os. Vælg alliances, når I har set, at alt er rigtigt."),
    "employerAgreed": ("no", "Må ikke deles. Har virksomheden sagt ja, så skriv named, eller kolonnen, der siger det."),
    "applyVia": ("consultant", "Gennem jobcentret."),
    "initiatedBy": ("us", "Os, når ingen kolonne siger andet."),
}
"""What a field that has no column is given in the proposal: the value with which nothing leaves, and why."""

CHANGED = ("ændret", "opdateret", "senestændret", "sidstændret", "rettet", "ændringsdato", "modified", "updatedat")
"""What a column is called that says when a row was changed."""

"""A shared job order in the shapes that others know. Pure.

schema.org's JobPosting is as https://schema.org/JobPosting describes it, with the values that search engines read. The
shape after DFDG's job order has the elements that public pages name: those of CreateCompanyRecruitment in STAR's wiki
(starwiki.atlassian.net, page 3580789291), and the rest of them as an older, unofficial mapping has them
(github.com/LokeSonne/lokesonne.github.io). Both are to be confirmed with STAR. What has no public element there stands
apart, in our own words.
"""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

TITLE_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX = 100, 5_000
FULL_TIME_HOURS = 37
"""The usual Danish week."""

OPEN = "1"
"""The only code of DFDG's states of a job order that is public, of six."""

NO_NAME = "confidential"
"""What schema.org's readers are told of an employer who wants no name shown."""

_DURATIONS = {"fixed-term": "TEMPORARY", "seasonal": "TEMPORARY", "on-call": "PER_DIEM"}
_INTERNS = {"work-placement", "integration-training"}


def job_posting(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shared job order as schema.org's JobPosting."""
    data = event["data"]
    posting = {
        "@context": "https://schema.org", "@type": "JobPosting",
        "identifier": {"@type": "PropertyValue", "name": event["owner"], "value": data["jobOrderId"]},
        "title": data.get("title") or _at(data, "occupation", "label"),
        "description": data.get("description") or _at(data, "occupation", "label"),
        "datePosted": _day(data.get("registeredAt")), "validThrough": data.get("applicationDeadline"),
        "employmentType": _employment_types(data), "hiringOrganization": _organization(data.get("company")),
        "jobLocation": _place(data.get("workplace")), "occupationalCategory": _at(data, "occupation", "label"),
        "totalJobOpenings": data.get("positions"), "jobStartDate": data.get("startDate"),
        "jobImmediateStart": data.get("startAsap"), "workHours": _hours(data.get("hoursPerWeek")),
        "qualifications": "; ".join(data.get("requirements", ())) or None,
        "applicationContact": _contact(data.get("contactPerson") or data.get("consultant")),
    }  # fmt: skip
    return {name: value for name, value in posting.items() if value is not None}


def dfdg_order(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shared job order shaped after DFDG's. Its GUID is the one it has there, or follows from its id."""
    data = event["data"]
    known = next((one.get("id") for one in data.get("externalIds", ()) if _is_of(one, "DFDG")), None)
    made = uuid5(NAMESPACE_URL, f"urn:kommunebro:{event['owner']}:job-order:{data['jobOrderId']}")
    concept = next((one.get("code") for one in _at(data, "occupation", "codes") or () if _is_of(one, "ESCO")), None)
    order = {
        "CompanyRecruitmentIdentifier": known or str(made),
        "CompanyRecruitmentTitle": _cut(data.get("title"), TITLE_CHARACTERS_MAX),
        "ConceptUriDa": concept,
        "CompanyRecruitmentJobDescription": _cut(
            data.get("description") or data.get("title") or _at(data, "occupation", "label"), DESCRIPTION_CHARACTERS_MAX
        ),
        "CompanyRecruitmentStatusTypeIdentifier": OPEN if data.get("status") == "open" else None,
        "CompanyRecruitmentStartDate": data.get("startDate"),
        "CompanyRecruitmentValidToDate": data.get("applicationDeadline"),
        "HoursPerWeek": _at(data, "hoursPerWeek", "max"),
        "CompanyRecruitmentProvider": _renamed(
            data.get("company"), {"cvr": "CVRnumberIdentifier", "pNumber": "ProductionUnitIdentifier"}
        ),
        "CompanyRecruitmentLocationAddress": _renamed(
            data.get("workplace"), {"postcode": "PostCodeIdentifier", "city": "DistrictName"}
        ),
        "kommunebro": {
            "owner": event["owner"], "alliance": event.get("alliance"), "jobOrderId": data["jobOrderId"],
            "status": data.get("status"), "positions": data.get("positions"),
            "municipality": _at(data, "workplace", "municipality"),
        },
    }  # fmt: skip
    return {name: value for name, value in order.items() if value is not None}


def _at(data: Mapping[str, Any], *path: str) -> Any:
    found: Any = data
    for step in path:
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _is_of(one: Mapping[str, Any], system: str) -> bool:
    return bool(one.get("system", "").upper() == system)


def _cut(text: str | None, characters: int) -> str | None:
    return text if text is None or len(text) <= characters else text[: characters - 1] + "…"


def _day(moment: str | None) -> str | None:
    return None if moment is None else moment[:10]


def _employment_types(data: Mapping[str, Any]) -> list[str] | None:
    types = set(data.get("employmentTypes", ()))
    if not types:
        return None
    found = ["INTERN"] if types & _INTERNS else []
    hours = _at(data, "hoursPerWeek", "min")
    if types - _INTERNS:
        part_time = "student-job" in types or (hours is not None and hours < FULL_TIME_HOURS)
        found.append("PART_TIME" if part_time else "FULL_TIME")
    return [*found, *filter(None, [_DURATIONS.get(data.get("duration", ""))])]


def _organization(company: Mapping[str, Any] | None) -> dict[str, Any]:
    shared = company or {}
    organization = {"@type": "Organization", "name": shared.get("name", NO_NAME)}
    return organization | ({"taxID": shared["cvr"]} if "cvr" in shared else {})


def _place(workplace: Mapping[str, Any] | None) -> dict[str, Any]:
    address: dict[str, Any] = {"@type": "PostalAddress", "addressCountry": "DK"}
    names = {"postcode": "postalCode", "city": "addressLocality", "municipality": "addressRegion"}
    address |= {theirs: workplace[ours] for ours, theirs in names.items() if workplace and ours in workplace}
    return {"@type": "Place", "address": address}


def _renamed(data: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return some of an object's properties by other names; None where it has none of them."""
    return {theirs: data[ours] for ours, theirs in names.items() if ours in data} or None if data else None


def _hours(hours: Mapping[str, Any] | None) -> str | None:
    known = {end: hours[end] for end in ("min", "max") if end in hours} if hours else {}
    ends = "-".join(dict.fromkeys(map(str, known.values())))
    return f"{ends} timer/uge" if ends else None


def _contact(person: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if person is None:
        return None
    names = {"name": "name", "phone": "telephone", "email": "email"}
    return {"@type": "ContactPoint"} | {theirs: person[ours] for ours, theirs in names.items() if ours in person}

"""The dataset's types: what events hold, for type checkers and editors.

Made from the schemas by `python -m tests.python_client.make_types`; do not edit.
"""

from kommunebro.dataset.company_contact import (
    CompanyContact,
    CompanyContactEvent,
    CompanyContactForwarded,
    CompanyContactShared,
)
from kommunebro.dataset.company_cooperation import (
    CompanyCooperation,
    CompanyCooperationEvent,
    CompanyCooperationForwarded,
    CompanyCooperationShared,
)
from kommunebro.dataset.job_order import JobOrder, JobOrderEvent, JobOrderForwarded, JobOrderShared
from kommunebro.dataset.job_order_response import (
    JobOrderResponse,
    JobOrderResponseEvent,
    JobOrderResponseForwarded,
    JobOrderResponseShared,
)
from kommunebro.dataset.visit import Visit, VisitEvent, VisitForwarded, VisitShared

PublishedEvent = (
    JobOrderEvent
    | CompanyContactEvent
    | VisitEvent
    | CompanyCooperationEvent
    | JobOrderResponseEvent
)
"""An event as it is published."""

ForwardedEvent = (
    JobOrderForwarded
    | CompanyContactForwarded
    | VisitForwarded
    | CompanyCooperationForwarded
    | JobOrderResponseForwarded
)
"""An event as an alliance shares it; `type` tells which it is."""

__all__ = [
    "CompanyContact",
    "CompanyContactEvent",
    "CompanyContactForwarded",
    "CompanyContactShared",
    "CompanyCooperation",
    "CompanyCooperationEvent",
    "CompanyCooperationForwarded",
    "CompanyCooperationShared",
    "ForwardedEvent",
    "JobOrder",
    "JobOrderEvent",
    "JobOrderForwarded",
    "JobOrderResponse",
    "JobOrderResponseEvent",
    "JobOrderResponseForwarded",
    "JobOrderResponseShared",
    "JobOrderShared",
    "PublishedEvent",
    "Visit",
    "VisitEvent",
    "VisitForwarded",
    "VisitShared",
]

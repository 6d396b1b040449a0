"""`kommunebro doctor`: look at everything that an instance needs, change nothing, and say what to do."""

from exchange_gateway.doctor.findings import Examination, Finding, State
from exchange_gateway.doctor.rounds import examine

__all__ = ["Examination", "Finding", "State", "examine"]

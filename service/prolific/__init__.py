"""The client of Prolific's API, and the request of each decision."""

from service.domain.decision import ActionRequest
from service.prolific.client import Prolific
from service.prolific.filters import SubmissionFilter
from service.prolific.payloads import Page, ReturnRequest
from service.prolific.sending import action_request

__all__ = ["ActionRequest", "Page", "Prolific", "ReturnRequest", "SubmissionFilter", "action_request"]

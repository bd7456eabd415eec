"""A rehearsal of whole studies on this machine: the real service, the simulated Prolific, simulated participants."""

from service.demo.rehearsal import rehearse

__all__ = ["rehearse"]

"""Why a notice did not arrive, and whether trying again can help."""


class SendFailed(Exception):
    """A notice did not arrive. `lasting`: trying again changes nothing. `wait` is what the receiver asks for, in seconds.

    The reason never holds what the receiver answered or a secret: whoever declares a route must not read the network by it.
    """

    def __init__(self, reason: str, *, lasting: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.lasting, self.wait = reason, lasting, wait

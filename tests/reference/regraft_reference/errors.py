"""The three ways in which a reading of a spec can end early."""


class SpecError(Exception):
    """A mistake in the spec, or one that its rules meet on this checkpoint: exit 2. `code` is that of the diagnostic, where the
    page names one."""

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


class Unsettled(Exception):
    """The page allows two readings with different outcomes. A test case that ends here proves nothing about the engine, so the
    generator makes another one; the message names the two readings."""


class OutOfScope(Exception):
    """A part of the language that this reference does not model."""


class Misfit(Exception):
    """Two shapes that the policy's word does not bring together: shape-mismatch."""

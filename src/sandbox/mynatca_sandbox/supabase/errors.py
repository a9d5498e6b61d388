"""The errors of PostgREST, of PostgreSQL behind it and of Supabase's gateway before it.

Codes and sentences are PostgREST 13's (its page "Errors"); `details` names what the query got wrong.
"""

from typing import Any


class PostgrestError(Exception):
    """An answer other than rows. `status` is HTTP's, `code` PostgREST's (PGRST...) or PostgreSQL's."""

    def __init__(
        self, status: int, code: str, message: str, *, details: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message}


class GatewayError(PostgrestError):
    """A refusal by the gateway before PostgREST: its body has no code."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(401, "", message, hint=hint)

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"message": self.message, "hint": self.hint}


def unparsable(what: str, text: str, details: str) -> PostgrestError:
    """A query parameter that is not in PostgREST's grammar; `what` is its kind."""
    return PostgrestError(400, "PGRST100", f'"failed to parse {what} ({text})" (line 1, column 1)', details=details)


def unsatisfiable(details: str) -> PostgrestError:
    """A range that cannot be served."""
    return PostgrestError(416, "PGRST103", "Requested range not satisfiable", details=details)


def unknown_column(relation: str, column: str) -> PostgrestError:
    """A column that the relation does not have."""
    return PostgrestError(400, "42703", f"column {relation}.{column} does not exist")


def invalid_input(type_name: str, text: str) -> PostgrestError:
    """A literal that is no value of the column's type."""
    code = "22P02" if type_name == "integer" else "22007"
    return PostgrestError(400, code, f'invalid input syntax for type {type_name}: "{text}"')

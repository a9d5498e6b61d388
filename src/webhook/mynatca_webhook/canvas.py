"""Canvas Kit as far as this service speaks it: what Intercom's inbox asks, and what it is told to show.

The fields are those of Intercom's Canvas Kit reference; whatever else a request holds is not looked at.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# ---- asked


class Participant(BaseModel):
    """The contact beside whose conversation the app is shown."""

    model_config = ConfigDict(hide_input_in_errors=True)
    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")


class CanvasRequest(BaseModel):
    """An agent opened a conversation: Initialize. The guide's example says `contact`, its table `customer`."""

    model_config = ConfigDict(hide_input_in_errors=True)
    contact: Participant | None = None
    customer: Participant | None = None

    @model_validator(mode="after")
    def _is_about_somebody(self) -> Self:
        if not (self.contact or self.customer):
            raise ValueError("neither contact nor customer is there")
        return self

    @property
    def contact_id(self) -> str:
        """The contact's id."""
        contact = self.contact or self.customer
        if contact is None:
            raise AssertionError("a request is about somebody")
        return contact.id


class CanvasSubmit(CanvasRequest):
    """An agent used a component: Submit. `input_values` holds what the fields hold, by their ids."""

    component_id: str
    input_values: dict[str, Any] | None = None

    def entered(self, component_id: str) -> str:
        """What a field holds, trimmed; empty for one that is not there or holds no text."""
        value = (self.input_values or {}).get(component_id)
        return value.strip() if isinstance(value, str) else ""


# ---- shown


class Component(BaseModel):
    """A part of a canvas."""

    model_config = ConfigDict(frozen=True)


class Submit(Component):
    """Lets a component ask for another canvas."""

    type: Literal["submit"] = "submit"


class Text(Component):
    """A paragraph; Intercom reads Markdown's bold and links in it."""

    type: Literal["text"] = "text"
    text: str
    style: Literal["header", "paragraph", "muted", "error"] = "paragraph"


class TableRow(Component):
    """One line of a table."""

    type: Literal["field-value"] = "field-value"
    field: str
    value: str


class DataTable(Component):
    """Fields and their values."""

    type: Literal["data-table"] = "data-table"
    items: tuple[TableRow, ...] = Field(min_length=1)


class Button(Component):
    """Submits when it is used."""

    type: Literal["button"] = "button"
    id: str
    label: str
    style: Literal["primary", "secondary"] = "primary"
    action: Submit = Submit()


class Input(Component):
    """A field that submits what is entered."""

    type: Literal["input"] = "input"
    id: str
    label: str
    placeholder: str
    value: str = ""
    save_state: Literal["unsaved", "saved", "failed"] = "unsaved"
    action: Submit = Submit()


class Divider(Component):
    """A line across."""

    type: Literal["divider"] = "divider"


AnyComponent = Annotated[Text | DataTable | Button | Input | Divider, Field(discriminator="type")]


class Content(BaseModel):
    """What a canvas shows, from top to bottom."""

    components: tuple[AnyComponent, ...]


class Canvas(BaseModel):
    """The whole app, which replaces what it showed before."""

    content: Content


class CanvasAnswer(BaseModel):
    """What both requests are answered with."""

    canvas: Canvas


def canvas_of(*components: AnyComponent) -> Canvas:
    """A canvas of these components."""
    return Canvas(content=Content(components=components))

"""Teammates and the workspace (Intercom REST: Admins). The app acts as the first teammate."""

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import store_of
from mynatca_sandbox.intercom.serialize import admin_json
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Admin, World

admins = Blueprint("admins")


@admins.get("/me")
def me(request: Request) -> HTTPResponse:
    """Return the app's teammate with the workspace; null in a workspace without teammates."""
    world = store_of(request).world
    return json_response(_identity(world.admins[0], world) if world.admins else None)


@admins.get("/admins")
def list_admins(request: Request) -> HTTPResponse:
    """List all teammates."""
    listed = [admin_json(admin) for admin in store_of(request).world.admins]
    return json_response({"type": "admin.list", "admins": listed})


@admins.get("/admins/<admin_id:str>")
def get_admin(request: Request, admin_id: str) -> HTTPResponse:
    """Return one teammate."""
    admin = store_of(request).admin(admin_id)
    if admin is None:
        raise errors.admin_not_found()
    return json_response(admin_json(admin))


def _identity(admin: Admin, world: World) -> dict[str, object]:
    return {
        "type": "admin",
        "id": admin.id,
        "email": admin.email,
        "name": admin.name,
        "email_verified": True,
        "app": {
            "type": "app",
            "id_code": world.workspace_id,
            "name": "Sandbox",
            "created_at": world.now,
            "secure": False,
            "identity_verification": False,
            "timezone": world.timezone,
            "region": "US",
        },
        "avatar": {"type": "avatar", "image_url": None},
        "has_inbox_seat": True,
    }

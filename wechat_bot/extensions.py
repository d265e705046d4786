"""The Flask extensions of the application, and how they are bound to it."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_compress import Compress
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf.csrf import CSRFProtect
from sqlalchemy import Engine, MetaData
from sqlalchemy.orm import DeclarativeBase

MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}
"""Options of a table in MariaDB and MySQL."""
LASTING_IDS = MYSQL | {"sqlite_autoincrement": True}
"""Options of a table whose ids are never given again after rows were deleted, also on SQLite."""


class Model(DeclarativeBase):
    """Base class of the tables. Constraints have the same names in every database."""

    __table_args__: Any = MYSQL
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


PAGES = "pages"
"""The key of the engine from which the sessions of requests, `db.session`, have their connections.

A page keeps its connection while it calls services, which take others from `db.engine`. If there were one
pool for both, some pages could hold all of its connections and wait for each other.
"""


class PageSession(Session):
    """The session of a request, over a connection of the engine `PAGES`."""

    def get_bind(self, *_args: Any, **_options: Any) -> Engine:
        return db.engines[PAGES]


db = SQLAlchemy(model_class=Model, disable_autonaming=True, session_options={"class_": PageSession})
migrate = Migrate(render_as_batch=True, compare_type=True)
csrf = CSRFProtect()
login = LoginManager()
compress = Compress()
login.session_protection = None  # sessions are rows, see services/operators/sign_in.py


def init_app(app: Flask) -> None:
    """Bind the extensions to `app`."""
    db.init_app(app)
    migrate.init_app(app, db, directory=migrations_folder())
    app.config["COMPRESS_REGISTER"] = False
    compress.init_app(app)
    app.after_request(compress_static)


def compress_static(response: Response) -> Response:
    """Compress stylesheets, scripts and icons.

    Pages stay as they are: where they hold a secret beside what a stranger wrote, the compressed length would
    tell of the secret (BREACH).
    """
    is_static = request.endpoint is not None and request.endpoint.endswith("static")
    if not is_static or response.status_code != 200:
        return response
    file: Any = response.response
    response.direct_passthrough = False
    with closing(file):
        response.set_data(b"".join(file))
    return compress.after_request(response)


def migrations_folder() -> str:
    """Return the folder of the migrations: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    shipped = package / "_migrations"
    return str(shipped if shipped.is_dir() else package.parent / "migrations")


def connect_console(app: Flask) -> None:
    """Bind the extensions that only the console needs: sign-in and protection against forged requests."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_CHECK_DEFAULT=False,  # the console's guard does, see blueprints/admin/access.py
        WTF_CSRF_TIME_LIMIT=None,  # a token is good as long as the session
    )
    csrf.init_app(app)
    # init_app would bring its "remember me" cookie, which looks into the session after every request.
    app.login_manager = login  # type: ignore[attr-defined]

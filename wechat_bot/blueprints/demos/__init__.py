"""The article that this project comes from, as a tutorial that runs: one module for each topic of it."""

from . import (
    cookies,
    decorators,
    errors,
    follower_pages,
    methods,
    redirects,
    request_data,
    responses,
    routing,
    sessions,
    static_files,
    templating,
    uploads,
    urls,
)
from .tutorial import bp

for topic in (
    routing,
    decorators,
    urls,
    methods,
    static_files,
    templating,
    request_data,
    uploads,
    cookies,
    redirects,
    errors,
    responses,
    sessions,
):
    bp.register_blueprint(topic.bp)

__all__ = ["bp", "follower_pages"]

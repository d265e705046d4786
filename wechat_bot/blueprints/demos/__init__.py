"""A Flask tutorial with running examples: one module for each topic of an article."""

from importlib import import_module

from . import follower_pages
from .lessons import LESSONS
from .tutorial import bp

for topic in dict.fromkeys(lesson.sources[0].__module__ for lesson in LESSONS):
    bp.register_blueprint(import_module(topic).bp)

__all__ = ["bp", "follower_pages"]

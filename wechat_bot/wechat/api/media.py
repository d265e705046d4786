"""API calls for temporary material (``wechat-platform.md`` section 7.7)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import Unreachable
from ._http import MAX_FILE_BYTES, File, Http
from ._responses import Download
from .values import convert, convert_field


@dataclass(frozen=True)
class Uploaded:
    """An uploaded file. The platform keeps it for 3 days from `created_at` (Unix time in seconds)."""

    media_id: str
    created_at: int = 0


class Media:
    def __init__(self, http: Http) -> None:
        self._http = http

    def upload(self, kind: str, filename: str, content: bytes, content_type: str) -> Uploaded:
        """Upload an image, voice, video or thumb (section 7.7, media/upload)."""
        file = File(filename, content, content_type)
        answer = self._http.upload("/cgi-bin/media/upload", file, {"type": kind})
        return convert(Uploaded, {"media_id": answer.get("thumb_media_id"), **answer})

    def download(self, media_id: str, max_bytes: int = MAX_FILE_BYTES) -> Download:
        """Return a file of at most `max_bytes` (section 7.7, media/get).

        :raises NotFound: if the file has expired, after 3 days.
        """
        return self._download("/cgi-bin/media/get", media_id, max_bytes)

    def download_voice(self, media_id: str, max_bytes: int = MAX_FILE_BYTES) -> Download:
        """Return a recording of the JS-SDK, in Speex at 16 kHz (section 7.7, media/get/jssdk)."""
        return self._download("/cgi-bin/media/get/jssdk", media_id, max_bytes)

    def upload_image(self, filename: str, content: bytes, content_type: str) -> str:
        """Upload a JPG or PNG of at most 1 MB and return its URL for use in articles (section 7.8,
        media/uploadimg)."""
        answer = self._http.upload("/cgi-bin/media/uploadimg", File(filename, content, content_type))
        return convert_field(str, answer, "url")

    def _download(self, path: str, media_id: str, max_bytes: int) -> Download:
        match self._http.download(path, max_bytes, {"media_id": media_id}):
            case Download() as file:
                return file
            case {"video_url": str(url)}:
                return self._http.fetch(url, max_bytes, redirects=True)
            case _:
                raise Unreachable("JSON in place of a file", delivered=True)

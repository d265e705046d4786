"""Tests of format detection, pictures and conversion."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.files import GOOD, HOSTILE_FILES, animation, needs_ffmpeg, picture
from wechat_bot.services.media.converter import Converter
from wechat_bot.services.media.formats import (
    AMR,
    JPEG,
    MP3,
    MP4,
    PNG,
    RefusalReason,
    RefusedMedia,
    duration,
    identify,
)
from wechat_bot.services.media.pictures import as_jpeg, is_animated
from wechat_bot.simulator import sample_files

LIMIT = 1 << 20


@pytest.mark.parametrize("name", GOOD)
def test_a_file_has_the_type_that_its_content_says(name: str) -> None:
    kind, content, content_type = GOOD[name]
    assert identify(kind, content, LIMIT).content_type == content_type


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_what_is_not_of_its_kind_is_refused(name: str) -> None:
    kind, content, reason = HOSTILE_FILES[name]
    with pytest.raises(RefusedMedia) as refused:
        as_jpeg(content, identify(kind, content, LIMIT).decoder, 100, LIMIT)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", RefusalReason.EMPTY), (sample_files.PNG * 9, RefusalReason.TOO_LARGE)]
)
def test_nothing_and_too_much_are_refused(content: bytes, reason: RefusalReason) -> None:
    with pytest.raises(RefusedMedia) as refused:
        identify("image", content, 100)
    assert refused.value.reason == reason


def test_a_small_picture_is_upright_on_white_and_tells_no_place() -> None:
    exif = Image.Exif()
    exif[274] = 6  # rotated by 90 degrees
    exif[34853] = {1: "N"}  # GPS data
    made = Image.open(BytesIO(as_jpeg(picture(width=640, height=480, exif=exif), "JPEG", 100, LIMIT)))
    assert (made.format, made.size) == ("JPEG", (75, 100))
    assert not made.getexif()
    clear = BytesIO()
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(clear, "PNG")
    assert Image.open(BytesIO(as_jpeg(clear.getvalue(), "PNG", 100, LIMIT))).getpixel((4, 4)) == (255,) * 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA"])
def test_pictures_of_every_mode_get_a_thumbnail(mode: str) -> None:
    made = BytesIO()
    Image.new(mode, (9, 9)).save(made, "PNG")
    assert as_jpeg(made.getvalue(), "PNG", 100, LIMIT).startswith(b"\xff\xd8\xff")


def test_a_picture_is_made_smaller_until_it_fits() -> None:
    made = as_jpeg(picture(width=900, height=900), JPEG.decoder, 900, 20_000)
    assert len(made) <= 20_000
    assert max(Image.open(BytesIO(made)).size) < 900


_DECODE = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from wechat_bot.services.media.pictures import as_jpeg

content = Path(sys.argv[1]).read_bytes()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda _: as_jpeg(content, "PNG", 480, 1 << 16), range(int(sys.argv[2]))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
"""Decodes a picture several times at once, and prints the largest memory that the process had."""


def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGBA", (4000, 4000)).save(large, compress_level=1)

    def peak(times: int) -> int:
        command = [sys.executable, "-c", _DECODE, str(large), str(times)]
        return int(subprocess.run(command, capture_output=True, check=True).stdout)

    assert peak(4) < 1.5 * peak(1)


def test_an_animation_is_known_and_its_first_frame_shown() -> None:
    assert is_animated(animation(), "GIF")
    assert not is_animated(sample_files.GIF, "GIF")
    first = Image.open(BytesIO(as_jpeg(animation(), "GIF", 100, LIMIT))).getpixel((4, 4))
    assert isinstance(first, tuple)
    assert first[0] > 200 > first[2]


def test_the_length_of_a_recording_is_counted_in_its_frames() -> None:
    assert duration(sample_files.AMR, AMR) == 1.0
    assert duration(sample_files.MP3, MP3) == pytest.approx(1.0, abs=0.05)


@needs_ffmpeg
def test_a_voice_becomes_what_browsers_play() -> None:
    made = Converter.detect().mp3(sample_files.AMR, AMR.decoder)
    assert identify("voice", made, LIMIT) is MP3
    assert duration(made, MP3) == pytest.approx(1.0, abs=0.3)


@needs_ffmpeg
def test_ffmpeg_sees_no_format_but_the_one_that_was_found() -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    assert Converter.detect().mp3(playlist, MP3.decoder) == b""
    assert Converter.detect().poster(sample_files.MP4, MP4.decoder) == b""


def test_without_ffmpeg_nothing_is_converted() -> None:
    converter = Converter(None)
    assert not converter.is_available
    assert converter.mp3(sample_files.AMR, AMR.decoder) == b""


def test_a_picture_is_decoded_as_what_it_is_and_as_nothing_else() -> None:
    with pytest.raises(RefusedMedia):
        as_jpeg(sample_files.PNG, JPEG.decoder, 100, LIMIT)
    assert as_jpeg(sample_files.PNG, PNG.decoder, 100, LIMIT)

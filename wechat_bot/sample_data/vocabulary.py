"""Values of the placeholders in dialogues: ``{tea}``, ``{order}`` … All of them are fictitious."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

TEAS = (
    "茉莉花茶",
    "桂花乌龙",
    "玫瑰红茶",
    "明前绿茶",
    "陈皮普洱",
    "白牡丹",
    "荞麦茶",
    "洛神花茶",
    "糯香小沱",
    "蜜香红茶",
)
CITIES = ("临江", "云溪", "青屿", "白鹭洲", "北岸", "柳湾")
STREETS = ("梧桐路", "海棠街", "听雨巷", "渡口路", "学宫前街", "橘园一路", "石桥里", "月台东街")
SURNAMES = ("王", "李", "陈", "林", "周", "何", "苏", "沈", "叶", "梁")
GIVEN_NAMES = ("晓雨", "小满", "一诺", "建国", "春燕", "子墨", "丽", "浩然", "佳佳", "大伟")
NICKNAMES = ("小橘子", "老陈", "茶茶", "Momo", "阿芳", "木木🌳", "夏天的风", "一只小鹿", "大橙子🍊")
COMPANIES = ("云朵文具店", "青藤幼儿园", "小满设计工作室", "远山户外用品商行", "蓝鲸咖啡馆", "晴川图书室")
SCENES = ("spring-fair", "counter-7", "box-2026", "flyer-03", "bus-stop-12", "1027")
MENU_ITEMS = ("jasmine", "osmanthus", "gift-box", "teapot", "sampler")

Word = Sequence[str] | Callable[[Random], str]


def _door(rng: Random) -> str:
    return f"{rng.randint(1, 9)}栋{rng.randint(1, 18)}0{rng.randint(1, 4)}"


WORDS: dict[str, Word] = {
    "tea": TEAS,
    "city": CITIES,
    "surname": SURNAMES,
    "nick": NICKNAMES,
    "company": COMPANIES,
    "scene": SCENES,
    "item": MENU_ITEMS,
    "name": lambda rng: rng.choice(SURNAMES) + rng.choice(GIVEN_NAMES),
    "address": lambda rng: f"{rng.choice(CITIES)}市{rng.choice(STREETS)}{rng.randint(1, 188)}号{_door(rng)}",
    "phone": lambda rng: f"199-0000-{rng.randrange(10_000):04}",
    "order": lambda rng: f"T26{rng.randint(1, 12):02}{rng.randint(1, 28):02}{rng.randrange(100_000):05}",
    "amount": lambda rng: str(rng.choice((39, 58, 68.5, 88, 99, 128, 159, 199.9, 268, 399))),
    "tax": lambda rng: f"91000000MA0{rng.randrange(10**6):06}X",
    "mail": lambda rng: f"tea{rng.randrange(1000):03}@example.com",
    "job": lambda rng: str(rng.randrange(10**9, 10**10)),
    "n": lambda rng: str(rng.randint(1, 9)),
    "latitude": lambda rng: f"{rng.uniform(30.1, 30.4):.6f}",
    "longitude": lambda rng: f"{rng.uniform(120.0, 120.3):.6f}",
}

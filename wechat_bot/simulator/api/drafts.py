"""Drafts and published articles (sections 7.9 and 7.10)."""

from __future__ import annotations

import re
from typing import Any

from ..state import Published, SimulatedDraft
from .call import OK, Answer, Area, CallRefused, Family, SimulatedCall, find, new_secret, page_at, refuse_if
from .media import picture_url

family = Family(Area.ANY)

_PUBLISHING_SECONDS = 2
_ARTICLE = {
    "article_type?": str,
    "title?": str,
    "author?": str,
    "digest?": str,
    "content?": str,
    "content_source_url?": str,
    "thumb_media_id?": str,
    "need_open_comment?": int,
    "only_fans_can_comment?": int,
    "image_info?": {"image_list": [{"image_media_id": str}]},
    "cover_info?": dict,
    "product_info?": dict,
    "pic_crop_235_1?": str,
    "pic_crop_1_1?": str,
}


def _check_article(call: SimulatedCall, article: dict[str, Any]) -> None:
    kind = article.get("article_type", "news")
    refuse_if(not article.get("title"), 40227)
    refuse_if(not article.get("content"), 44003)
    refuse_if(len(article["title"]) > 32, 45003)
    refuse_if(len(article.get("author", "")) > 16 or len(article.get("digest", "")) > 128, 45004)
    refuse_if(len(article["content"]) >= 20_000 or len(article["content"].encode()) >= 1024 * 1024, 45002)
    refuse_if(len(article.get("content_source_url", "").encode()) > 1024, 45005)
    refuse_if(re.search(r"<\s*script", article["content"], re.IGNORECASE), 45166)
    if kind == "news":
        call.find_media(article.get("thumb_media_id", ""), "image", "thumb", permanent=True)
    elif kind == "newspic":
        _check_pictures(call, article.get("image_info", {}).get("image_list", []))
    else:
        raise CallRefused(40008)


def _check_pictures(call: SimulatedCall, pictures: list[dict[str, str]]) -> None:
    refuse_if(not 1 <= len(pictures) <= 20, 40097)
    for picture in pictures:
        call.find_media(picture["image_media_id"], "image", permanent=True)


def _as_returned(article: dict[str, Any], url: str) -> dict[str, Any]:
    """Return an article with the fields that the platform adds."""
    text = re.sub(r"<[^>]*>", "", article["content"])
    thumb = article.get("thumb_media_id")
    return {
        "article_type": "news",
        "author": "",
        "content_source_url": "",
        "need_open_comment": 0,
        "only_fans_can_comment": 0,
        **article,
        "digest": article.get("digest") or text[:54],
        "show_cover_pic": 0,
        "url": url,
        "thumb_url": picture_url(thumb) if thumb else "",
    }


def _draft(call: SimulatedCall) -> SimulatedDraft:
    media_id = call.body["media_id"]
    return find((draft for key, draft in call.state.drafts.items() if key == media_id), 40007)


def _items(media_id: str, draft: SimulatedDraft) -> list[dict[str, Any]]:
    return [
        _as_returned(article, f"http://mp.weixin.qq.com/s?__biz=fake&tempkey={media_id}&idx={number}")
        for number, article in enumerate(draft.articles, 1)
    ]


def _without_content(items: list[dict[str, Any]], body: dict[str, Any]) -> list[dict[str, Any]]:
    if int(body.get("no_content", 0)):
        return [{name: value for name, value in item.items() if name != "content"} for item in items]
    return items


@family.post("/cgi-bin/draft/add", {"articles": [_ARTICLE]})
def add(call: SimulatedCall) -> Answer:
    articles = call.body["articles"]
    refuse_if(not 1 <= len(articles) <= 8, 45008)
    for article in articles:
        _check_article(call, article)
    media_id = new_secret()
    call.state.drafts[media_id] = SimulatedDraft(articles, call.now)
    return {"media_id": media_id}


@family.post("/cgi-bin/draft/update", {"media_id": str, "index?": int, "articles": _ARTICLE})
def update(call: SimulatedCall) -> None:
    draft, index = _draft(call), int(call.body.get("index", 0))
    refuse_if(index >= len(draft.articles), 40060)
    _check_article(call, call.body["articles"])
    draft.articles[index] = call.body["articles"]
    draft.updated_at = call.now


@family.post("/cgi-bin/draft/get", {"media_id": str})
def get(call: SimulatedCall) -> Answer:
    draft = _draft(call)
    return {
        "news_item": _items(call.body["media_id"], draft),
        "create_time": int(draft.updated_at),
        "update_time": int(draft.updated_at),
    }


@family.post("/cgi-bin/draft/delete", {"media_id": str})
def delete(call: SimulatedCall) -> None:
    _draft(call)
    del call.state.drafts[call.body["media_id"]]


@family.get("/cgi-bin/draft/count")
def count(call: SimulatedCall) -> Answer:
    return {"total_count": len(call.state.drafts)}


_PAGE = {"offset": int, "count": int, "no_content?": int}


@family.post("/cgi-bin/draft/batchget", _PAGE)
def list_drafts(call: SimulatedCall) -> Answer:
    newest = sorted(call.state.drafts.items(), key=lambda item: -item[1].updated_at)
    return page_at(
        call.body,
        [
            {
                "media_id": media_id,
                "content": {"news_item": _without_content(_items(media_id, draft), call.body)},
                "update_time": int(draft.updated_at),
            }
            for media_id, draft in newest
        ],
    )


@family.post("/cgi-bin/freepublish/submit", {"media_id": str}, area=Area.PUBLISHING)
def publish(call: SimulatedCall) -> Answer:
    """Delete the draft at once. The result follows two seconds later, as an event and by freepublish/get."""
    draft = _draft(call)
    del call.state.drafts[call.body["media_id"]]
    article_id, publish_id = new_secret(), str(call.state.new_id())
    ready = call.now + _PUBLISHING_SECONDS
    published = Published(article_id, publish_id, draft.articles, ready)
    call.state.published[article_id] = published
    call.schedule_event(
        "PUBLISHJOBFINISH",
        "",
        _PUBLISHING_SECONDS,
        PublishEventInfo={
            "publish_id": publish_id,
            "publish_status": 0,
            "article_id": article_id,
            "article_detail": _detail(published),
        },
    )
    return {**OK, "publish_id": publish_id, "msg_data_id": call.state.new_article()}


def _url(published: Published, number: int) -> str:
    return f"http://mp.weixin.qq.com/s?__biz=fake&mid={published.publish_id}&idx={number}"


def _detail(published: Published) -> dict[str, Any]:
    items = [
        {"idx": number, "article_url": _url(published, number)}
        for number, _ in enumerate(published.articles, 1)
    ]
    return {"count": len(items), "item": items}


@family.post("/cgi-bin/freepublish/get", {"publish_id": str}, area=Area.PUBLISHING)
def publishing(call: SimulatedCall) -> Answer:
    publish_id = call.body["publish_id"]
    published = find((p for p in call.state.published.values() if p.publish_id == publish_id), 53502)
    answer: dict[str, Any] = {"publish_id": publish_id, "publish_status": 1, "fail_idx": []}
    if call.now < published.ready:
        return answer
    all_deleted = len(published.deleted) == len(published.articles)
    return answer | {
        "publish_status": 5 if all_deleted else 0,
        "article_id": published.article_id,
        "article_detail": _detail(published),
    }


def _published(call: SimulatedCall) -> Published:
    published = call.state.published.get(call.body["article_id"])
    if published is None or call.now < published.ready:
        raise CallRefused(53600)
    return published


def _news(published: Published) -> list[dict[str, Any]]:
    return [
        {**_as_returned(article, _url(published, number)), "is_deleted": number in published.deleted}
        for number, article in enumerate(published.articles, 1)
    ]


@family.post("/cgi-bin/freepublish/delete", {"article_id": str, "index?": int}, area=Area.PUBLISHING)
def unpublish(call: SimulatedCall) -> None:
    published, index = _published(call), int(call.body.get("index", 0))
    refuse_if(index > len(published.articles), 40060)
    numbers = [index] if index else range(1, len(published.articles) + 1)
    published.deleted = sorted({*published.deleted, *numbers})


@family.post("/cgi-bin/freepublish/getarticle", {"article_id": str}, area=Area.PUBLISHING)
def article(call: SimulatedCall) -> Answer:
    return {"news_item": _news(_published(call))}


@family.post("/cgi-bin/freepublish/batchget", _PAGE, area=Area.PUBLISHING)
def list_published(call: SimulatedCall) -> Answer:
    newest = [p for p in reversed(call.state.published.values()) if call.now >= p.ready]
    return page_at(
        call.body,
        [
            {
                "article_id": published.article_id,
                "content": {"news_item": _without_content(_news(published), call.body)},
                "update_time": int(published.ready),
            }
            for published in newest
        ],
    )

"""The lessons of the tutorial, in the order of the article."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

from .. import site
from . import (
    cookies,
    decorators,
    errors,
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
from .lesson import Example, Lesson
from .upload_folder import UploadFolder

MULTIPART = {"Content-Type": "multipart/form-data; boundary=example"}

NO_FILE = b"""--example\r
Content-Disposition: form-data; name="test"; filename=""\r
Content-Type: application/octet-stream\r
\r
\r
--example--\r
"""

LESSONS = (
    Lesson(
        slug="hello",
        section="最小的应用",
        title=_("最小的应用"),
        text=_(
            "Flask 应用是一个对象，路由把一个 URL 交给一个函数，函数的返回值就是 HTTP 回包的内容。"
            "这里的 `bp` 是蓝图：一组可以整体挂到应用上的路由，写法和 `app` 一样。"
        ),
        sources=(routing.index,),
        examples=(Example(_("打开它"), "/hello", marks=("GET ", "hello,world")),),
        differences=(
            _("文章把它放在 `/`；这里 `/` 属于整个网站，所以放在 `/hello`。"),
            _(
                "文章用 `app.run()` 启动。今天开发时用 `flask run --debug`，上线时用 WSGI 服务器，"
                '代码里不再需要 `if __name__ == "__main__"`。'
            ),
        ),
    ),
    Lesson(
        slug="decorators",
        section="路由",
        title=_("路由是装饰器"),
        text=_(
            "装饰器接过一个函数，还回一个函数，所以能在视图前后各做一点事，就像 .NET 里的注解。"
            "`@timed` 量出视图用了多久，写进响应头 `Server-Timing`。"
        ),
        sources=(decorators.timed, decorators.decorated),
        examples=(Example(_("量一次"), "/decorated", marks=("Server-Timing",)),),
        differences=(
            _(
                "文章说路由装饰器会“先运行其他的代码”。其实 `@bp.route` 只登记它下面的函数，原样还回；"
                "因此它要写在最外层，`@timed` 写在里面。"
            ),
            _("每个请求都要做的事，用 `before_request` 和 `after_request`，不必逐个装饰。"),
        ),
    ),
    Lesson(
        slug="variables",
        section="在路由里面指定变量规则",
        title=_("URL 里的变量"),
        text=_(
            "`<类型:变量名>` 从 URL 里取出一段，转成要的类型，再作为参数交给视图。"
            "转不成就是 404：视图收到的总是对的类型。"
        ),
        sources=(routing.hello, routing.count, routing.hello2, routing.hello3, routing.signed),
        examples=(
            Example(
                _("一段文字"),
                "/hello/{username}",
                values={"username": "zhang"},
                marks=("GET ", "hello {username}"),
            ),
            Example(
                _("HTML 会被转义"),
                "/hello/{username}",
                values={"username": "<b>zhang"},
                marks=("GET ", "&lt;b&gt;"),
            ),
            Example(_("整数"), "/hello1/{c}", values={"c": "42"}, marks=("GET ", "you entered {c}")),
            Example(
                _("不是整数：404"), "/hello1/{c}", values={"c": "abc"}, marks=("GET ", "HTTP/1.1 404", "<h1>")
            ),
            Example(
                _("路径，可以有斜线"), "/hello2/{p}", values={"p": "a/b/c"}, marks=("GET ", "the path is {p}")
            ),
            Example(_("小数"), "/hello3/{f}", values={"f": "1.5"}, marks=("GET ", "the float is {f}")),
            Example(
                _("负数要用 signed=True"),
                "/float/{f}",
                values={"f": "-1.5"},
                marks=("GET ", "the float is {f}"),
            ),
        ),
        differences=(
            _(
                '文章用 `"hello %s" % username` 直接拼出 HTML，访问者写的标签会原样执行。'
                "不经过模板时，要自己调用 `escape`。"
            ),
            _(
                "文章提到 `float`，没有写例子：`/hello3` 补上了。它默认不接受负数，"
                "`float(signed=True)` 才接受。"
            ),
            _("一个视图可以有几个路由：`/count/42` 和 `/hello1/42` 是同一个函数。"),
        ),
    ),
    Lesson(
        slug="url-for",
        section="生成url",
        title=_("生成 URL"),
        text=_(
            "`url_for` 由视图的名字得到 URL，和路由相反。路由改了，链接跟着变；特殊字符由它编码；"
            "路由里没有的参数成为查询字符串。下面的表由这个应用当场算出。"
        ),
        sources=(urls.table,),
        templates=("demos/url_for.html",),
        examples=(Example(_("打开这张表"), "/url_for", marks=("/demo/hello/",)),),
        differences=(
            _(
                '在蓝图里，名字前面要加蓝图的名字：`url_for("demos.routing.hello")`；'
                "同一个蓝图内可以只写 `.hello`。"
            ),
            _("名字不对或缺少参数会抛出 `BuildError`：错误在测试里出现，而不是变成死链接。"),
        ),
    ),
    Lesson(
        slug="methods",
        section="设置http方法",
        title=_("HTTP 方法"),
        text=_(
            "路由默认只接受 GET（以及 HEAD 和 OPTIONS）。用 `methods` 列出别的方法；"
            "没列出的，Flask 回答 405，并在 `Allow` 里说明可以用哪些。"
        ),
        sources=(methods.testzz, methods.read, methods.write),
        examples=(
            Example("GET", "/testzz", marks=("GET ", "the get")),
            Example("POST", "/testzz", method="POST", marks=("POST ", "the post")),
            Example(
                _("没列出的方法：405"), "/testzz", method="DELETE", marks=("DELETE ", "HTTP/1.1 405", "Allow")
            ),
            Example("@bp.post", "/methods", method="POST", marks=("POST ", "the post")),
        ),
        differences=(
            _("一个方法一个函数更清楚：Flask 2.0 起可以写 `@bp.get` 和 `@bp.post`。"),
            _("文章的 `else: pass` 永远走不到：别的方法在进入视图之前就被拒绝了。"),
        ),
    ),
    Lesson(
        slug="static-files",
        section="静态文件的支持",
        title=_("静态文件"),
        text=_(
            "`static` 目录里的文件不经过视图，由 Flask 直接送出，附上 `ETag` 和 `Last-Modified`。"
            "浏览器下次带着它们来问，没有变就只得到 304，没有内容。"
        ),
        sources=(static_files.show,),
        templates=("demos/static_files.html",),
        examples=(
            Example(_("用到静态文件的页面"), "/static_files", marks=("/static/",)),
            Example(
                _("其中的图片"),
                "/static/flask.svg",
                marks=("Content-Type", "Cache-Control", "ETag", "Last-Modified"),
            ),
            Example(
                _("再要一次：304"),
                "/static/flask.svg",
                headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
                marks=("If-Modified-Since", "HTTP/1.1 304"),
            ),
        ),
        differences=(
            _(
                "文章说用 `static/文件名` 访问。不要手写路径：`url_for('static', filename='…')`"
                "在应用挂到别的路径下时也对。"
            ),
            _("蓝图可以有自己的静态目录，这里是 `url_for('demos.static', …)`。"),
        ),
    ),
    Lesson(
        slug="templates",
        section="模板渲染",
        title=_("模板渲染"),
        text=_(
            "Jinja 把数据填进 HTML：`{{ }}` 输出，`{% %}` 控制。输出自动转义，所以访问者写的标签只是文字。"
            "模板之间可以继承（`extends`），重复的片段写成宏（`macro`），变换用过滤器（`|`）。"
        ),
        sources=(templating.testtemplate, templating.guests, templating.shout),
        templates=("demos/test.html", "demos/guests.html"),
        examples=(
            Example(_("没有名字"), "/testtemplate", marks=("hello,world",)),
            Example(
                _("有名字"),
                "/testtemplate/{username}",
                values={"username": "wang"},
                marks=("hello {username}",),
            ),
            Example(
                _("自动转义"),
                "/testtemplate/{username}",
                values={"username": "<b>wang"},
                marks=("&lt;b&gt;",),
            ),
            Example(_("继承、宏和过滤器"), "/templates", marks=("ZHANG", "WANG", "&lt;B&gt;", "Lesson")),
        ),
        differences=(
            _("文章把它写成 jinjia2；它叫 Jinja，现在是第 3 版。"),
            _("文章的模板没有 `<head>` 和 `<body>`。浏览器会自己补上，但正式的页面还是写全为好。"),
        ),
    ),
    Lesson(
        slug="request-data",
        section="访问请求数据",
        title=_("访问请求数据"),
        text=_(
            "`request` 是正在处理的请求：`args` 是 URL 里 `?` 后面的，`form` 是表单，"
            "`get_json()` 是 JSON，`headers` 是请求头。密码要用 POST 发：GET 的会留在地址栏、历史和日志里。"
        ),
        sources=(request_data.login, request_data.echo_json, request_data.user_agent),
        templates=("demos/login.html",),
        examples=(
            Example(
                _("GET：数据在 URL 里"),
                "/login",
                values={"username": "zhang", "passwd": "123"},
                marks=("GET ", "GET METHOD", "<dd>"),
            ),
            Example(
                _("POST：数据在请求体里"),
                "/login",
                method="POST",
                values={"username": "zhang", "passwd": "123"},
                marks=("Content-Type: application/x", "username=", "POST METHOD", "<dd>"),
            ),
            Example(
                _("少一个字段：400"),
                "/login",
                method="POST",
                values={"username": "zhang"},
                marks=("username=", "HTTP/1.1 400", "passwd"),
            ),
            Example(
                "JSON",
                "/json",
                method="POST",
                headers={"Content-Type": "application/json"},
                body='{"username": "张三"}'.encode(),
                marks=("application/json", "username"),
            ),
            Example(
                _("请求头"),
                "/headers",
                headers={"User-Agent": "a browser of my own"},
                marks=("User-Agent", "your browser"),
            ),
        ),
        differences=(
            _(
                '`request.form["x"]` 在缺少 `x` 时不是 KeyError 页面，而是 400；'
                '可有可无的字段用 `request.form.get("x")`。'
            ),
            _("这个表单没有 CSRF 令牌，因为什么都不保存：发来的只显示给发来的人。"),
        ),
    ),
    Lesson(
        slug="uploads",
        section="文件上传",
        title=_("文件上传"),
        text=_(
            "文件在 `request.files` 里。文件名和类型都是对方说的，不能信："
            "这里用 `secure_filename` 加随机名保存，限制大小、次数和总量，一小时后删除。"
            "由内容判断类型：图片直接显示，别的文件只能下载。上传的文件只有上传者自己拿得到。"
        ),
        sources=(uploads.upload, uploads.uploaded, UploadFolder.save),
        templates=("demos/upload.html",),
        examples=(
            Example(
                _("上传一个文件（不超过 1 MB）"),
                "/upload",
                method="POST",
                file="test",
                marks=("Content-Type: multipart", "filename=", "HTTP/1.1 ", ">ok<", "<dd>"),
            ),
            Example(
                _("没有选择文件：400"),
                "/upload",
                method="POST",
                headers=MULTIPART,
                body=NO_FILE,
                marks=('filename=""', "HTTP/1.1 400", "<p>"),
            ),
        ),
        differences=(
            _("`secure_filename` 搬了家：从 `werkzeug.utils` 导入，不再是 `werkzeug.secure_filename`。"),
            _(
                "`secure_filename` 不够：它会把“微信.png”变成 `png`，让同名文件互相覆盖，"
                "也不看内容。所以还要随机名和类型检查。"
            ),
            _("`MAX_CONTENT_LENGTH` 让 Flask 在读完之前就拒绝太大的请求：413。"),
            _(
                "这里会保存东西，所以拒绝别的网站发起的 POST：浏览器会在 `Sec-Fetch-Site` 或 `Origin` 里"
                "说明请求从哪里来，不需要令牌。"
            ),
        ),
    ),
    Lesson(
        slug="cookies",
        section="cookie解析",
        title="Cookie",
        text=_(
            "服务器用 `Set-Cookie` 请浏览器记住一个值，浏览器之后每次用 `Cookie` 带回来。"
            "`HttpOnly`：脚本读不到；`SameSite=Lax`：别的网站发起的 POST 不带它；"
            "`Max-Age`：多少秒后忘掉；`Path`：只对这些路径带上。"
        ),
        sources=(cookies.setcookie, cookies.getcookie, cookies.deletecookie),
        examples=(
            Example(_("还没有"), "/getcookie", marks=("GET ", "username")),
            Example(_("设置"), "/setcookie", marks=("Set-Cookie",)),
            Example(_("读取"), "/getcookie", marks=("Cookie: ", "zhanggd")),
            Example(_("删除"), "/deletecookie", marks=("Set-Cookie",)),
            Example(_("又没有了"), "/getcookie", marks=("GET ", "username")),
        ),
        differences=(
            _('文章用 `request.cookies["username"]`，没有 cookie 时得到 400；用 `get` 可以说一句人话。'),
            _("Cookie 是浏览器发来的，谁都可以改：显示前要转义，也不能凭它认人。认人见“会话”。"),
        ),
    ),
    Lesson(
        slug="redirects",
        section="重定向",
        title=_("重定向"),
        text=_(
            "重定向是一个让浏览器去别处的回答，`Location` 里写着去哪里。302 是通常的；303 让浏览器改用 GET，"
            "适合提交表单之后；308 是永久的，而且保留方法。"
        ),
        sources=(redirects.index, redirects.with_code, redirects.follow),
        examples=(
            Example("302", "/redirect", marks=("HTTP/1.1 302", "Location")),
            Example(
                _("303：POST 之后改用 GET"),
                "/redirect/303",
                method="POST",
                marks=("POST ", "HTTP/1.1 303", "Location"),
            ),
            Example(
                _("308：POST 之后还是 POST"),
                "/redirect/308",
                method="POST",
                marks=("POST ", "HTTP/1.1 308", "Location"),
            ),
            Example(
                _("目标由对方给，在本站"),
                "/redirect/next",
                values={"next": "/demo/hello"},
                marks=("GET ", "HTTP/1.1 302", "Location"),
            ),
            Example(
                _("目标在别的网站：拒绝"),
                "/redirect/next",
                values={"next": "//evil.example/"},
                marks=("GET ", "HTTP/1.1 400", "<p>"),
            ),
        ),
        differences=(
            _("文章从 `/` 转走；这里 `/` 也是这样转到这个教程的，见 `site.home`。"),
            _(
                "照着参数里的网址转走叫开放重定向：别人可以借你的域名骗人。"
                "`//evil.example` 看起来像路径，其实是另一个网站。"
            ),
        ),
    ),
    Lesson(
        slug="errors",
        section="错误",
        title=_("错误"),
        text=_(
            "`abort` 立即中断视图，用一个错误码回答。`errorhandler` 决定错误长什么样；"
            "登记在应用上，就对所有路径有效，包括不存在的。"
        ),
        sources=(errors.test2, site.explain),
        templates=("error.html",),
        examples=(
            Example("401", "/test2", marks=("HTTP/1.1 401", "<h1>")),
            Example(_("不存在的路径：自定义的 404"), "/nowhere", marks=("HTTP/1.1 404", "<h1>")),
            Example(
                _("给程序的回答"),
                "/nowhere",
                headers={"Accept": "*/*"},
                marks=("Accept:", "Content-Type", "404"),
            ),
        ),
        differences=(
            _("文章为 404 写一个处理函数；这里一个函数管所有的 HTTP 错误，状态码和响应头都保留。"),
            _("按规范，401 还应当带 `WWW-Authenticate`，浏览器才会问密码。单用 `abort(401)` 没有它。"),
        ),
    ),
    Lesson(
        slug="responses",
        section="关于响应",
        title=_("响应"),
        text=_(
            "视图可以返回字符串、元组（内容，状态，响应头）、响应对象、字典（成为 JSON），"
            "也可以边算边发。Flask 把它们都变成响应对象，想改什么，就用 `make_response` 拿到它。"
        ),
        sources=(
            responses.test3,
            responses.string,
            responses.in_a_tuple,
            responses.response_object,
            responses.json,
            responses.stream,
        ),
        templates=("demos/404.html",),
        examples=(
            Example("make_response", "/test3", marks=("HTTP/1.1 404", "test: test")),
            Example(_("字符串"), "/responses/string", marks=("HTTP/1.1 200", "only a body")),
            Example(_("元组"), "/responses/tuple", marks=("HTTP/1.1 201", "test: test", "body, status")),
            Example(_("响应对象"), "/responses/object", marks=("Content-Type", "a response object")),
            Example("JSON", "/responses/json", marks=("Content-Type: application/json", "hello")),
            Example(_("边算边发"), "/responses/stream", marks=("line ",)),
        ),
        differences=(
            _("文章列了三种返回值；Flask 1.1 起字典、2.2 起列表会直接成为 JSON。"),
            _("边算边发时不知道长度，所以没有 `Content-Length`；服务器会分块发送。"),
        ),
    ),
    Lesson(
        slug="sessions",
        section="会话",
        title=_("会话"),
        text=_(
            "`session` 是一个字典，存在浏览器的 cookie 里，由 `SECRET_KEY` 签名：浏览器看得到内容，但改不了。"
            "改过的签名不对，整个会话作废。所以里面可以放“是谁”，不能放秘密。"
        ),
        sources=(sessions.visit, sessions.enter, sessions.leave),
        templates=("demos/session.html",),
        examples=(
            Example(_("还没有登录"), "/session", marks=("GET ", "<h1>")),
            Example(
                _("用一个名字登录"),
                "/session",
                method="POST",
                values={"username": "zhang"},
                marks=("username=", "HTTP/1.1 303", "Set-Cookie"),
            ),
            Example(_("回来"), "/session", marks=("Cookie: ", "<h1>", 'class="count"')),
            Example(_("再回来：数字变了"), "/session", marks=("Cookie: ", "<h1>", 'class="count"')),
            Example(
                _("伪造的 cookie：拒绝"),
                "/session",
                headers={"Cookie": "demo_session=eyJ1c2VybmFtZSI6ImFkbWluIn0.aUxYVg.Zm9yZ2Vk"},
                marks=("Cookie: ", "<h1>", 'class="refused"'),
            ),
            Example(_("退出"), "/session/end", method="POST", marks=("HTTP/1.1 303", "Set-Cookie")),
        ),
        differences=(
            _(
                '`app.secret_key = ""` 是空的，Flask 会拒绝。密钥要长、随机、不进代码：'
                "这里来自 `SECRET_KEY`。"
            ),
            _('文章用 `session.pop("username")`，没有登录时会出错；`session.pop("username", None)` 不会。'),
            _(
                "登录和退出会改变状态，所以用 POST，并且拒绝别的网站发起的请求。"
                "演示的会话有自己的 cookie `demo_session` 和签名，与网站其他部分无关。"
            ),
        ),
    ),
)

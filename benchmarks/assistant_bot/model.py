"""``model.py <port>``: serves the stand-in for a language model, for as many followers at once as may ask."""

import sys

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, run_simple

from wechat_bot.simulator.language_model import SimulatedLanguageModel


class _Silent(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        pass


BaseWSGIServer.request_queue_size = 1024
run_simple("127.0.0.1", int(sys.argv[1]), SimulatedLanguageModel(), threaded=True, request_handler=_Silent)

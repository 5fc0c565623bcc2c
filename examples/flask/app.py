"""A small web application: greets by NAME and tells which container answers."""

import os
import socket

from flask import Flask

app = Flask(__name__)


@app.route("/")
def hello() -> str:
    name = os.environ.get("NAME", "world")
    return f"<h3>Hello {name}!</h3><b>Hostname:</b> {socket.gethostname()}<br/>\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=80)

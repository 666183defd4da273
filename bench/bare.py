"""The least that a Flask view can do with a callback."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/")
def callback() -> str:
    request.get_data()
    return ""


@app.get("/healthz")
def healthz() -> str:
    return ""

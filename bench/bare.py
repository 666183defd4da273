"""The lower bound: a Flask view that only reads the body."""

from flask import Flask, request

app = Flask(__name__)


@app.post("/")
def callback() -> str:
    request.get_data()
    return ""


@app.get("/healthz")
def healthz() -> str:
    return ""

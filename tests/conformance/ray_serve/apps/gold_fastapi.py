"""A FastAPI ingress. Import path: gold_fastapi.app, deployment "Api".
GET /hello/{name} -> 200 {"hello": name};  POST /add {"a": int, "b": int} -> 200 {"sum": a + b}
GET /teapot -> 418 {"detail": "short and stout"};  docs at /docs, schema at /openapi.json"""

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from ray import serve

api = FastAPI(title="gold", version="1")


class Pair(BaseModel):
    a: int
    b: int


@serve.deployment
@serve.ingress(api)
class Api:
    @api.get("/hello/{name}")
    def hello(self, name: str):
        return {"hello": name}

    @api.post("/add")
    def add(self, pair: Pair):
        return {"sum": pair.a + pair.b}

    @api.get("/teapot")
    def teapot(self):
        raise HTTPException(418, "short and stout")


app = Api.bind()

"""A script of callbacks, without async anywhere: store, load, change, save, delete, each in the callback of the one before.

`Store.run` starts trio and returns when `main`, every operation and every callback are done.
"""

from __future__ import annotations

import os

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")

store = evsession.Store(os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080"), database=DATABASE)
Dog = evsession.DocumentType("Dog")

Error = evsession.SessionError | None


def main() -> None:
    store.create_database(DATABASE, created)
    print("asked for a database; the answer is not here yet")


def created(error: Error) -> None:
    if error is not None and error.status_code != 409:  # 409: there is one of this name already
        print("no database:", error)
        return
    session = store.open_session()

    def saved(error: Error, keys: list[str] | None) -> None:
        print("saved", error or keys)
        session.load("dogs/max", loaded)

    def loaded(error: Error, max: evsession.Document | None) -> None:
        if error is not None or max is None:
            print("not loaded:", error or "there is no such dog")
            return
        print("loaded", max.name, "of age", max.age)
        max.age += 1
        session.save(changed)

    def changed(error: Error, keys: list[str] | None) -> None:
        print("saved the change", error or keys)
        session.delete("dogs/max", deleted)

    def deleted(error: Error) -> None:
        session.exists("dogs/max", lambda error, exists: print("exists after delete:", error or exists))

    session.store(Dog(id="Max", name="Max", breed="Golden Retriever", age=12))
    session.save(saved)


if __name__ == "__main__":
    store.run(main)

"""The pytest plugin: fixture `rayrig`, option `--rayrig-seed`.

Imported at the start of every pytest run of everyone who has rayrig installed, so it imports nothing of the world here; the
fixture does, when it is first used.
"""

from __future__ import annotations

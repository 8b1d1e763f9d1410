"""The scenario language, its bundled library, runner and oracles."""

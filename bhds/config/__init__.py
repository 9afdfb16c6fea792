"""The settings of a run: one closed, typed model, checked before anything else.

`config/config.yaml` documents every key. A wrong setting is one `ConfigError` that
names where it was set, the key, its value and what was expected.
"""

from bhds.config.model import (
    Dataset,
    FrequencyChoice,
    Resample,
    ResultSettings,
    Settings,
    Split,
    SplitRule,
    SymbolFilter,
)
from bhds.config.network import Endpoints, Http
from bhds.config.sources import default_data_dir, files_to_read, load, read, validated

__all__ = [
    "Dataset",
    "Endpoints",
    "FrequencyChoice",
    "Http",
    "Resample",
    "ResultSettings",
    "Settings",
    "Split",
    "SplitRule",
    "SymbolFilter",
    "default_data_dir",
    "files_to_read",
    "load",
    "read",
    "validated",
]

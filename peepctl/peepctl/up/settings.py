"""The settings of `peepctl up`, and the environment that it passes on to the services."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from service_runtime.maildir_layout import DEFAULT_LAYOUT, MaildirLayout
from service_runtime.setting_formats import LONGEST_PATH_OCTETS, Layout
from service_runtime.settings import LocalSettings

OWN_VARIABLES = ("PEEP_DATA_DIR", "PEEP_DEMO")


class UpSettings(LocalSettings):
    """The settings of `peepctl up`: its own, and those with other defaults than in the services.

    The services check the settings that are passed on to them.
    """

    redis_url: str = Field("", description="an external server instead of the embedded one", repr=False)
    mail_dir: str = Field("", description="the mail directory, `DATA_DIR/mail` unless set")
    maildir_layout: Layout = Field(DEFAULT_LAYOUT, description="path of each user's maildir below it")
    admins: str = Field("", description="administrators; unset: DATA_DIR/admins", repr=False)
    drain_seconds: float = Field(2, ge=0, le=3600, description="how long open sessions may take to finish")

    @model_validator(mode="after")
    def _services_take_the_path(self) -> Self:
        path = str(self.own_mail_directory)
        if not path.isprintable() or len(os.fsencode(path)) > LONGEST_PATH_OCTETS:
            raise PydanticCustomError(
                "data_dir", "must be a path of printable text, at most 500 octets long with its parents"
            )
        return self

    @property
    def directory(self) -> Path:
        """The data directory, absolute."""
        return Path(self.data_dir).absolute()

    @property
    def own_mail_directory(self) -> Path:
        """The mail directory inside the data directory."""
        return self.directory / "mail"

    @property
    def layout(self) -> MaildirLayout:
        """The paths of users' maildirs below the mail directory."""
        return MaildirLayout(self.maildir_layout)

    @property
    def administrators_file(self) -> Path:
        """The file with the generated administrator, as `name:password`."""
        return self.directory / "admins"

    def service_environment(self, environment: Mapping[str, str], redis_url: str) -> dict[str, str]:
        """Return the environment of the services: `environment` with what they need besides."""
        passed_on = {name: value for name, value in environment.items() if name not in OWN_VARIABLES}
        if not self.redis_url:
            passed_on["PEEP_REDIS_URL"] = redis_url
            passed_on.pop("PEEP_REDIS_URL_FILE", None)  # it names an empty file
        if not self.mail_dir:
            passed_on["PEEP_MAIL_DIR"] = str(self.own_mail_directory)
        if not self.admins:
            passed_on["PEEP_ADMINS_FILE"] = str(self.administrators_file)
            passed_on.pop("PEEP_ADMINS", None)
        passed_on.setdefault("PYTHONUTF8", "1")  # so that all decode paths alike, whatever the locale
        passed_on["PEEP_DRAIN_SECONDS"] = f"{self.drain_seconds:g}"
        passed_on.pop("PEEP_DRAIN_NOTICE_SECONDS", None)  # no proxy needs the notice here
        return passed_on

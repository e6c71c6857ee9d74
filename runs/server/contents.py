"""What is in a backup, by name and digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from envs.core.validation import SettingError
from hierarchy.storage.files import digest_of, read_mapping
from runs.server.folder import SCHEMA

ABOUT, DUMP, PASSWORD, ARTIFACTS = "backup.json", "mlflow.dump", "admin-password", "artifacts"
"""Its files, and the folder of those of runs."""


@dataclass(frozen=True)
class Contents:
    """A backup that has been written.

    Attributes
    ----------
    made
        When, in UTC.
    mlflow
        Version of MLflow that the tables are of.
    bucket
        Address of the artifacts where they are in S3, and not in the backup.
    files
        SHA-256 of its files, by their paths in it.
    """

    made: str
    mlflow: str
    bucket: str | None
    files: Mapping[str, str]

    @property
    def n_artifacts(self) -> int:
        """Files of runs."""
        return sum(name.startswith(f"{ARTIFACTS}/") for name in self.files)

    @property
    def written(self) -> dict[str, object]:
        """As it is in the backup."""
        about = {"schema": SCHEMA, "made": self.made, "mlflow": self.mlflow, "artifacts": self.bucket}
        return {**about, "files": dict(self.files)}

    @classmethod
    def of(cls, backup: Path) -> Contents:
        """Of a folder, all files of which are as they were written.

        Raises
        ------
        SettingError
            It is no backup, or damaged.
        """
        values = read_mapping(backup / ABOUT) if (backup / ABOUT).is_file() else {}
        files, bucket = values.get("files"), values.get("artifacts")
        if values.get("schema") != SCHEMA or not isinstance(files, dict) or not {DUMP, PASSWORD} <= set(files):
            raise SettingError("from", "a backup that `metabalance server backup` has written", backup)
        for name, digest in files.items():
            is_inside = name in (DUMP, PASSWORD) or PurePosixPath(name).parts[0] == ARTIFACTS
            path = backup / name
            if ".." in PurePosixPath(name).parts or not is_inside or not path.is_file() or digest_of(path) != digest:
                raise SettingError("from", "a backup whose files are as they were written", path)
        return cls(str(values.get("made")), str(values.get("mlflow")), bucket if isinstance(bucket, str) else None, files)

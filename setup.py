"""Find the packages: `lipbench` with all of its rooms, and the folders of plugins."""

from setuptools import find_packages, setup

plugins = {f"lipbench_{folder}": folder for folder in ("methods", "reports", "suites")}

setup(packages=[*find_packages(include=["lipbench", "lipbench.*"]), *plugins], package_dir=plugins)

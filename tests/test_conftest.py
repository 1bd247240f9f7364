"""What the tests take from the environment of whoever runs them."""

from tests.conftest import clean


def test_settings_and_proxies_of_whoever_runs_the_tests_are_taken_out() -> None:
    environment = {
        "PATH": "/bin",
        "SAGEHOLD_MODELS_DIR": "/models",
        "SAGEHOLD_DATABASE_URL": "postgresql://books",
        "OPENAI_BASE_URL": "https://api.example/v1",
        "PGHOST": "books",
        "https_proxy": "http://proxy:3128",
        "ALL_PROXY": "http://proxy:3128",
        "FORCE_COLOR": "1",
    }
    clean(environment)
    assert environment == {"PATH": "/bin", "SAGEHOLD_MODELS_DIR": "/models"}

"""The page about the dataset says what the schemas say."""

from tests.schemas.make_dataset_page import PAGE, page


def test_the_page_is_made_of_the_schemas() -> None:
    """Whoever changes a schema makes the page anew: `python -m tests.schemas.make_dataset_page`."""
    assert PAGE.read_text("utf-8") == page()

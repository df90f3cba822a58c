"""An alias moved to the new collection at the cut-over and pointed back, with the mouse, in Chromium, on Milvus Lite."""

import pytest
from pymilvus import MilvusClient

pytestmark = [pytest.mark.browser]
OLD, ALIAS = "sotu_2024", "sotu_live"


@pytest.fixture
def old_collection(server):
    """What the applications read so far: a collection in the file the demo copies into, and an alias that leads to it."""
    path = server.home / "demo" / "demo.db"
    path.parent.mkdir(parents=True)
    client = MilvusClient(str(path))
    client.create_collection(OLD, dimension=384)
    client.create_alias(OLD, ALIAS)
    client.close()
    from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 (what the client leaves open, the dashboard could not open)

    server_manager_instance.release_server(str(path))


@pytest.mark.slow
def test_an_alias_is_moved_and_pointed_back(visit, old_collection):
    page = visit()
    page.open()
    page.press("Use the demo")
    page.connect()
    page.press("Continue to plan")
    page.sees("7,764")
    page.press("Start migration")
    page.title("Run")
    page.sees("Cut over to the new collection")
    page.fill("cutover_alias", ALIAS)
    page.sees("It will lead to")
    page.press("Cut over")
    page.sees(f"pointed the alias {ALIAS} at sotu; before, it led to {OLD}")
    page.sees(f"MILVUS_COLLECTION={ALIAS}")
    page.picture("alias_light")
    page.press("Point it back")
    page.sees("see the old collection from then on")
    page.press(f"Point it back to {OLD}")
    page.sees(f"pointed the alias {ALIAS} back at {OLD}")
    page.fill("cutover_alias", ALIAS)
    page.sees(f"{ALIAS} leads to {OLD} now")

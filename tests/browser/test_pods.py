"""From pods to serverless and cut over, with the mouse, in Chromium, on the local Pinecone."""

import pytest

pytestmark = [pytest.mark.browser]


@pytest.mark.slow
def test_from_pods_to_serverless_followed_and_cut_over(visit):
    page = visit()
    page.open()
    page.press("Pods → serverless")
    page.connect()
    page.picture("connect_pinecone_light")
    page.press("Continue to plan")
    page.sees("7,764")
    page.tab.get_by_text("Follow and mark the source").click()
    page.tab.get_by_text("Go on copying changes until stopped").click()
    page.drawn()
    page.fill("plan_interval", "1")
    page.picture("plan_pinecone_light")
    page.press("Start migration")
    page.title("Run")
    page.sees("Following the source")
    page.sees("0 records")
    page.picture("run_following_light")
    page.sees("Cut over to the new collection")
    page.press("Cut over")
    page.sees("The new address")
    page.sees("PINECONE_INDEX_HOST")
    page.picture("cutover_light")


@pytest.mark.slow
def test_by_way_of_staged_files(visit, tmp_path):
    page = visit()
    page.open()
    page.press("Pods → serverless")
    page.press("Continue to plan")
    page.sees("7,764")
    page.tab.get_by_text("Staged files", exact=True).click()
    page.sees("The staged route needs a place for its files")
    page.fill("staging_parquet_resource", str(tmp_path / "files"))
    page.sees("the files stay there when the run is done")
    page.press("Start migration")
    page.title("Run")
    page.sees("2 · Imported by the target")
    page.sees("7,764 of 7,764 records, as import 101 says")
    page.sees("See the proof")

"""``init`` on EER movies: what the raw frames leave to be asked."""

from pathlib import Path

from pypcore.survey.look import look_at


def test_the_fractions_of_an_eer_are_asked_for(tmp_path: Path, write_eer, make_events) -> None:
    meta = b'<metadata><item name="sensorPixelSize.width" unit="m">7.3e-11</item></metadata>'
    events = [make_events((32, 32), 20, seed) for seed in range(6)]
    write_eer(tmp_path / "m_EER.eer", events, (32, 32), 65001, meta)
    survey = look_at(tmp_path)
    assert survey.found["pixel_size"][0].value == 0.73
    questions = {question.key: question.text for question in survey.questions}
    assert "6 raw frames" in questions["eer_fractions"]
    assert "a fraction" in questions["dose"]

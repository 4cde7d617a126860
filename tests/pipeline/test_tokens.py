"""Tokens are counted in any run that names a tokenizer, and the funnel's tokens add up like its characters."""

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pipeline.report.funnel import funnel
from tests.pipeline.conftest import SAMPLE, execute, table_rows


def test_the_tokens_of_the_funnel_are_those_of_the_texts(tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(["紙を漉く。冬の朝、水は冷たい。"], trainer)
    tokenizer.save(str(tmp_path / "mine.json"))
    job = execute(tmp_path / "out", [SAMPLE], overrides=(f"annotate.tokens={{mine: {tmp_path}/mine.json}}",))
    steps = funnel(tmp_path / "out", job.tables)

    def tokens_of(table: str) -> int:
        texts = [row["text"] for row in table_rows(tmp_path / "out", table)]
        return sum(len(found.ids) for found in tokenizer.encode_batch(texts, add_special_tokens=False))

    by_name = {step.name: step.tokens.get("tokens_mine") for step in steps}
    assert by_name["documents"] == tokens_of("documents")
    assert by_name["corpus"] == tokens_of("corpus")
    removed = [step for step in steps if step.removed and step.characters is not None]
    assert sum(step.tokens["tokens_mine"] for step in removed) == by_name["documents"] - by_name["corpus"]
    assert by_name["edited"] > 0 and by_name["records read"] is None

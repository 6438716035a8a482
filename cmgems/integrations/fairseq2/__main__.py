"""``python -m cmgems.integrations.fairseq2 OUT --config-file FILE``: pretrain with fairseq2's trainer."""

from fairseq2.recipe import main

from cmgems.integrations.fairseq2.pretrain import PretrainRecipe

if __name__ == "__main__":
    main(PretrainRecipe())

"""A frozen language model that also reads images, and whose lower half gives vectors of texts.

    places      which image a token may look at, and which tokens are predicted
    documents   texts and images in turn, as tokens
    attention   the new layers: resampler, gated cross-attention, pooling of texts
    model       the whole model
    files       saving and loading

Source: Wang et al. 2024, COSMO: COntrastive Streamlined MultimOdal Model with Interleaved Pre-Training (arXiv
2401.00849); the new layers are those of Alayrac et al. 2022, Flamingo (arXiv 2204.14198).
"""

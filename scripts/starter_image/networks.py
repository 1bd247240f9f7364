"""The four parts of the starter image model, as the standard diffusers and transformers classes.

A picture is 3×64×64, its latent 12×8×8. Sizes were chosen by counting operations for two processor cores: the
denoiser takes about 0.6 GFLOP a call, the autoencoder about 0.5.
"""

from diffusers import AutoencoderTiny, DPMSolverMultistepScheduler, UNet2DConditionModel
from starter_image.corpus import SIZE
from starter_image.words import LENGTH
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

CHANNELS = 12
GRID = SIZE // 8
WIDTH = 256


def build_autoencoder() -> AutoencoderTiny:
    """No normalisation, and nothing but one convolution at full size: most of the work is done at 16×16 and 8×8."""
    return AutoencoderTiny(
        in_channels=3,
        out_channels=3,
        encoder_block_out_channels=(64,) * 4,
        decoder_block_out_channels=(64,) * 4,
        num_encoder_blocks=(0, 1, 2, 3),
        num_decoder_blocks=(4, 3, 1, 0),
        latent_channels=CHANNELS,
        scaling_factor=1.0,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_denoiser() -> UNet2DConditionModel:
    """The text reaches every residual block through `addition_embed_type="text"` (pooled, added to the time embedding)
    and the inner blocks also by cross-attention."""
    return UNet2DConditionModel(
        sample_size=GRID,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        block_out_channels=(160, 192),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )


def build_scheduler() -> DPMSolverMultistepScheduler:
    """Velocity prediction down to pure noise (zero terminal SNR, Lin et al., arXiv:2305.08891): few steps suffice."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        algorithm_type="dpmsolver++",
        solver_order=2,
        euler_at_final=True,
    )

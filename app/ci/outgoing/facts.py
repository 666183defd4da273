"""CI's allowed values, as tables. Tencent documents them unless a comment says otherwise."""

REGIONS = frozenset(
    (
        "ap-beijing",
        "ap-nanjing",
        "ap-shanghai",
        "ap-guangzhou",
        "ap-chengdu",
        "ap-chongqing",
        "ap-hongkong",
        "ap-singapore",
        "ap-mumbai",
        "ap-seoul",
        "ap-bangkok",
        "ap-tokyo",
        "na-siliconvalley",
        "na-ashburn",
        "na-toronto",
        "eu-frankfurt",
        "eu-moscow",
    )
)
"""The regions of 2024. Tencent opens new ones, so an unknown region is only a warning."""

MUSIC_MODE = "MusicMode"

MODES: dict[str, tuple[str, ...]] = {
    "IsAudio": ("au_object",),
    "IsBackground": ("object",),
    "AudioAndBackground": ("object", "au_object"),
    MUSIC_MODE: ("object", "au_object", "bass_object", "drum_object"),
}
"""AudioMode, and the keys of Output that it fills: the modes are documented, the keys inferred from them."""

OUTPUT_KEYS = ("object", "au_object", "bass_object", "drum_object")

SAMPLERATES = ("8000", "11025", "22050", "32000", "44100", "48000", "96000")

CODECS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "aac": (SAMPLERATES[1:], ("1", "2", "4", "5", "6", "8")),
    "flac": (SAMPLERATES[1:], ("1", "2", "4", "5", "6", "8")),
    "mp3": (SAMPLERATES[1:-1], ("1", "2")),
    "amr": (("8000",), ("1",)),
}
"""Codec, and its sample rates (Hz) and channels, outside MusicMode."""

CHANNELS = ("1", "2", "4", "5", "6", "8")
"""The channels of all codecs that CI documents."""

MUSIC_CODECS = ("mp3", "wav", "aac")
DEFAULT_CODEC = "aac"
BITRATE = range(8, 1001)  # Kbps
JOB_LEVELS = ("0", "1", "2")
USER_DATA_MAX = 1024
OPERATIONS_MAX = 6

MQ_REGIONS = ("sh", "bj", "gz", "cd", "hk")
MQ_MODES = ("Topic", "Queue")
CALLBACK_TYPES = ("Url", "TDMQ")
CALLBACK_FORMATS = ("JSON", "XML")

WILDCARDS = ("ext", "jobid")
"""The names that CI fills in as `${…}` in VoiceSeparate's output keys. Its pages vary the case (inferred: any)."""

NO_INPUT = ("Tts", "FileCompress")
"""Tags whose published requests have no Input: a text, or a list of files, stands in their Operation."""

NO_OPERATION = ("MediaInfo", "ImageInspect")
"""Tags that work on a file as it is: an Operation is not required (page of MediaInfo; Tencent's examples for both)."""

NEEDS_OPERATION = frozenset(
    (
        "Animation",
        "Concat",
        "DigitalWatermark",
        "ExtractDigitalWatermark",
        "NoiseReduction",
        "PicProcess",
        "SDRtoHDR",
        "Segment",
        "SmartCover",
        "Snapshot",
        "SpeechRecognition",
        "StreamExtract",
        "SuperResolution",
        "Transcode",
        "Translation",
        "Tts",
        "VideoMontage",
        "VideoProcess",
        "WordsGeneralize",
    )
)
"""Tags that write files, and so need an Output. VoiceSeparate has rules of its own."""

INPUT_FORMATS = ("mp4", "avi", "mov", "flac", "wav", "amr", "mp3", "aac")

KEY_MAX = 850  # bytes of UTF-8, COS's own limit for an object key

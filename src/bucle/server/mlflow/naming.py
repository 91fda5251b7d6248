"""Names for runs that were given none: two words and a number, as MLflow's users know them."""

import random

_QUALITIES = (
    "able amber apt bold brave bright brisk calm clear clever crisp deep eager early fair fast fine firm "
    "fond free fresh glad golden grand great hardy honest humble keen kind light lively loyal lucky "
    "mellow merry mild neat noble open patient plain polite proud quick quiet rare ready ripe round "
    "silent smart smooth sober solid steady still strong subtle sunny sure swift tidy vivid warm wise "
    "witty young "
)
_THINGS = (
    "ant badger bass bear bee bison boar carp cat cod colt crab crane crow cub deer dove duck eel elk ewe "
    "falcon fawn finch fish fly fowl fox frog goat goose grouse gull hare hawk hen heron horse hound ibis "
    "jay kite lamb lark lion lynx mare mink mole moose moth mouse mule newt otter owl ox perch pig quail "
    "ram rat ray robin seal shad sheep shrew shrike skunk slug snail sow squid stag stork swan toad trout "
    "vole wasp whale wolf wren yak "
)


def random_name() -> str:
    """Return a name such as `brisk-otter-412`; nothing depends on its being unique."""
    chance = random.SystemRandom()
    return f"{chance.choice(_QUALITIES.split())}-{chance.choice(_THINGS.split())}-{chance.randrange(1000)}"

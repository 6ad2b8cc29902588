"""Where motion correction leaves its products. Imports nothing: Merge needs no more than this."""

FOLDER = "micrographs"
SUFFIXES = {  # kind of product: how its name ends, after the item's; RELION's endings where it has them
    "micrograph": ".mrc",
    "unweighted": "_noDW.mrc",
    "even": "_EVN.mrc",
    "odd": "_ODD.mrc",
    "power_spectrum": "_PS.mrc",
    "motion": ".star",
    "picture": "_motion.png",
    "field": "_field.star",
}

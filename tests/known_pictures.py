"""What is known of the pictures in the assets: the table of their README, made with a plain loop."""

# Objects of COCO SSD with a score above 0.4.
COCO_SSD = {
    "cat_720p.jpg": [("cat", 0.730)],
    "grace_hopper.bmp": [("person", 0.719), ("tie", 0.656), ("person", 0.500), ("tie", 0.426)],
    "parrot.jpg": [("bird", 0.809)],
    "owl.jpg": [("bird", 0.824)],
    "pets.jpg": [("dog", 0.809), ("dog", 0.750)],
    "squat.bmp": [("person", 0.824)],
    "hot_dog.jpg": [("hot dog", 0.711), ("dining table", 0.551)],
    "sunflower.bmp": [("teddy bear", 0.609)],
}
# What mobilenet_v2 puts first, and its score in 256ths.
MOBILENET_V2 = {
    "cat_720p.jpg": ("Egyptian cat", 224),
    "grace_hopper.bmp": ("military uniform", 225),
    "parrot.jpg": ("macaw", 255),
    "owl.jpg": ("ruffed grouse", 195),
    "sunflower.bmp": ("daisy", 251),
}
QUANTUM = 1 / 256

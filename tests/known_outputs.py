"""What is known of the other models in the assets, from plain loops: the numbers that issue 5 gives."""

# YOLOv8n at a score of 0.35, letterboxed with 114; each of these must be found, in this order among them.
YOLOV8N = {
    "cat_720p.jpg": [("cat", 0.965)],
    "pets.jpg": [("dog", 0.957), ("dog", 0.917)],
    "grace_hopper.bmp": [("person", 0.917), ("tie", 0.554)],
    "parrot.jpg": [("bird", 0.706)],
    "hot_dog.jpg": [("hot dog", 0.881)],
}
YOLOV8N_ALSO = {"cat_720p.jpg": [("bed", 0.554)]}  # what a plain loop finds beside it
MOVENET_WITHIN = 0.04  # of the publisher's reference for squat.bmp, in each coordinate
DEEPLAB_IOU = 0.81  # of the bird's mask

"""Who acts in the demo, and in which of the paper's roles (K-R1 to K-R7)."""

PEOPLE = {
    "ana": "data_scientist",
    "bruno": "data_engineer",
    "carla": "ml_engineer",
    "dario": "devops_engineer",
    "elena": "business_stakeholder",
}

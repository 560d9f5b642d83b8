"""What has an image in common stays together, by names that no path decides."""

import numpy as np

from graft.data.together import joined


def test_copies_alone_are_named_by_their_first_in_the_order_of_the_images():
    names = joined(None, np.array([0, 1, 0, 3, *range(4, 12), 1]))
    assert names[0] == names[2] != names[1] == names[12]
    assert len(set(names)) == 11
    # As text too they are in the order of the images, by which draws go.
    assert sorted(names[:12]) == sorted(set(names)) or names[2] == names[0]
    assert [names[i] for i in (0, 1, 3, 9, 10, 11)] == sorted(names[i] for i in (0, 1, 3, 9, 10, 11))


def test_a_copy_joins_the_groups_of_its_originals_and_these_join_others():
    groups = ["p", "p", "q", "r", "s", "s", "a"]
    # The images 1 and 2 are copies, and 2's group has no other; 4 and 6 are; 3 stands alone.
    names = joined(groups, np.array([0, 1, 1, 3, 4, 5, 4]))
    assert names == ["p", "p", "p", "r", "a", "a", "a"]


def test_chains_of_groups_and_copies_end_in_one():
    groups = [f"g{i // 2}" for i in range(10)]
    # The second image of each group is a copy of the first of the next.
    pictures = np.array([0, 1, 1, 3, 3, 5, 5, 7, 7, 9])
    assert set(joined(groups, pictures)) == {"g0"}
    assert joined(groups, np.arange(10)) == groups

import numpy as np

from pypcore.motion.defects import Replacement, find_hot


def test_hot_pixels_are_found_and_nothing_else():
    rng = np.random.default_rng(0)
    total = rng.poisson(40, (400, 500)).astype(np.float32)
    hot = [(10, 20), (399, 0), (200, 499)]
    for y, x in hot:
        total[y, x] = 400
    known = np.zeros(total.shape, bool)
    known[:, 77] = True
    total[:, 77] = 5000
    assert sorted(map(tuple, find_hot(total, known).tolist())) == sorted(hot)


def test_a_picture_that_is_almost_empty_has_no_hot_pixels():
    total = np.zeros((100, 100), np.float32)
    total[::4, ::4] = 1
    assert len(find_hot(total, np.zeros(total.shape, bool))) == 0


def test_each_bad_pixel_gets_a_good_near_neighbour_another_one_in_each_frame():
    bad = np.random.default_rng(1).random((80, 90)) < 0.05
    bad[:, 40] = True
    bad[30:45, 60:80] = True
    replacement = Replacement(bad)
    assert replacement.hopeless == 0
    picks = np.array([replacement.sources(t) for t in range(30)])
    ys, xs = np.divmod(picks, 90)
    assert not bad[ys, xs].any()
    assert np.abs(ys - replacement.y).max() <= 24
    assert np.median(np.hypot(ys - replacement.y, xs - replacement.x)) < 8
    assert np.mean([len(set(column)) for column in picks.T]) > 5
    assert np.array_equal(replacement.sources(3), Replacement(bad).sources(3))


def test_the_choice_is_even_over_the_neighbours():
    bad = np.zeros((21, 21), bool)
    bad[10, 10] = True
    replacement = Replacement(bad)
    picks = np.array([replacement.sources(t)[0] for t in range(2000)])
    ys, xs = np.divmod(picks, 21)
    assert abs(ys.mean() - 10) < 0.6
    assert abs(xs.mean() - 10) < 0.6


def test_a_pixel_with_no_good_one_in_reach_is_counted():
    bad = np.ones((200, 200), bool)
    bad[0, 0] = False
    assert Replacement(bad).hopeless > 10000

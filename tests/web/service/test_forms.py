"""Pictures in bodies: what programs and browsers send, and what no program should."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.serving import form

from orientd.web.service.forms import MOST, Misunderstood, Sent, pictures


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/HEIC; x=y", "application/octet-stream", ""])
def test_a_picture_by_itself(kind):
    assert pictures(kind, b"abc") == [Sent("", b"abc")]


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-www-form-urlencoded", "video/mp4", "images"])
def test_other_types_are_no_pictures(kind):
    with pytest.raises(Misunderstood, match="no type of a picture") as error:
        pictures(kind, b"abc")
    assert (error.value.status, error.value.code) == (415, "wrong_type")


def test_nothing_is_no_picture():
    with pytest.raises(Misunderstood, match="nothing was sent"):
        pictures("image/jpeg", b"")


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
def test_files_of_a_form_come_out_as_they_went_in(files):
    headers, body = form(*((f"{number}.jpg", data) for number, data in enumerate(files)), boundary="q7Fh3kPz0-not-in-there")
    found = pictures(headers["content-type"], body)
    assert found == [Sent(f"{number}.jpg", data) for number, data in enumerate(files)]


def test_the_boundary_in_a_picture_is_no_boundary_without_its_line():
    data = b"--xYzZy\r\nab\r\n--xYzZ\r\n\r\n\r\n"
    headers, body = form(("a", data), ("b", b"\r\n"))
    assert pictures(headers["content-type"], body) == [Sent("a", data), Sent("b", b"\r\n")]


def test_as_curl_and_others_say_it():
    body = (
        b"preamble\r\n--b c\r\nContent-Type: image/png\r\n"
        b'content-disposition: form-data; name=x; filename="a \\"b\\" \xc3\xa9.png"'
        b"\r\n\r\n12\r\n--b c--\r\nepilogue"
    )
    assert pictures('Multipart/Form-Data; charset=utf-8; Boundary="b c"', body) == [Sent('a "b" é.png', b"12")]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("name=image; filename=photo.jpg", "photo.jpg"),
        ("name=image; filename=x.jpg; filename*=utf-8''gr%C3%BCn.jpg", "grün.jpg"),
        ("name=image; filename*=no-such-charset''%61; filename=b.jpg", "b.jpg"),
        ('name="a; filename=b"; filename="c;d.jpg"', "c;d.jpg"),
        (r'name="image"; filename="C:\new\pic.jpg"', r"C:\new\pic.jpg"),
    ],
)
def test_a_name_as_dotnet_and_windows_write_it(told, name):
    body = f"--b\r\nContent-Disposition: form-data; {told}\r\n\r\n12\r\n--b--\r\n".encode()
    assert pictures("multipart/form-data; boundary=b", body) == [Sent(name, b"12")]


def test_an_empty_file_among_others_is_a_picture_and_an_empty_field_is_none():
    headers, body = form(("a.jpg", b""), ("b.jpg", b"1"))
    assert pictures(headers["content-type"], body) == [Sent("a.jpg", b""), Sent("b.jpg", b"1")]
    headers, body = form(("", b""), ("b.jpg", b"1"))
    with pytest.raises(Misunderstood):
        pictures(headers["content-type"], body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b"--b",
        b"--b\r\n",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\n\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\nabc\r\n--b',
        b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\nabc',
        b'--bContent-Disposition: form-data; filename="a"\r\n\r\nabc\r\n--b--',
        b"--b\r\n" + b"x" * 9000 + b"\r\n\r\nabc\r\n--b--",
        b"no boundary at all" * 100,
    ],
)
def test_a_broken_form_is_refused(body):
    with pytest.raises(Misunderstood) as error:
        pictures("multipart/form-data; boundary=b", body)
    assert (error.value.status, error.value.code) == (400, "bad_request")


@given(st.binary(max_size=300))
def test_whatever_comes_is_answered_or_refused(noise):
    for body in (noise, b"--b\r\n" + noise + b"\r\n--b--"):
        with suppress(Misunderstood):
            assert pictures("multipart/form-data; boundary=b", body)


def test_a_form_without_a_boundary():
    with pytest.raises(Misunderstood, match="boundary"):
        pictures("multipart/form-data", b"--b--")


def test_too_many():
    files = [(str(number), b"x") for number in range(MOST + 1)]
    headers, body = form(*files[:MOST])
    assert len(pictures(headers["content-type"], body)) == MOST
    headers, body = form(*files)
    with pytest.raises(Misunderstood, match="more than 32") as error:
        pictures(headers["content-type"], body)
    assert error.value.status == 413

"""Settings of the server that guard against faults of Streamlit's."""

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed


def test_no_message_is_replaced_by_a_reference():
    """Streamlit 1.67: where a fragment's run is cut short by its next one, `ForwardMsgQueue.clear` drops the fragment's
    blocks but not its references to cached messages (these carry no fragment's id), and the browser breaks down with
    "Cannot set a node at a delta path". A click on an image just after a lasso did that on a busy machine."""
    message = ForwardMsg()
    message.delta.new_element.markdown.body = "x" * 50_000_000
    populate_hash_if_needed(message)
    assert not message.metadata.cacheable
